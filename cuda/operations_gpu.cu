#include "core/gpu_backend.cuh"
#include "factorization/als.cuh"
#include "operations.h"
#include "similarity/topk.cuh"

namespace sartor::cuda {

const Operations& GpuBackend::operations() const {
  static constexpr Operations table = {.topk = topk_gpu, .als_update = als_update_gpu};
  return table;
}

}  // namespace sartor::cuda
