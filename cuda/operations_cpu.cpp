#include "operations.h"

#include "core/cpu_backend.h"
#include "factorization/als_cpu.h"
#include "similarity/topk_cpu.h"

namespace sartor::cuda {

const Operations& CpuBackend::operations() const {
  static constexpr Operations table = {.topk = topk_cpu, .als_update = als_update_cpu};
  return table;
}

}  // namespace sartor::cuda
