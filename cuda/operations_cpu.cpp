#include "operations.h"

#include "core/cpu_backend.h"
#include "decoding/decode_attention_cpu.h"
#include "decoding/penalties_cpu.h"
#include "decoding/sampling_cpu.h"
#include "factorization/als_cpu.h"
#include "factorization/implicit/implicit_cpu.h"
#include "similarity/topk_cpu.h"

namespace sartor::cuda {

const Operations& CpuBackend::operations() const {
  static constexpr Operations table = {.prepare_topk_rows = prepare_topk_rows_cpu,
                                       .topk = topk_cpu,
                                       .als_update = als_update_cpu,
                                       .implicit_update = implicit_update_cpu,
                                       .gram = gram_cpu,
                                       .append_to_cache = append_to_cache_cpu,
                                       .decode_attention = decode_attention_cpu,
                                       .penalize = penalize_cpu,
                                       .sample = sample_cpu};
  return table;
}

}  // namespace sartor::cuda
