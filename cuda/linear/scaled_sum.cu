#include "linear/scaled_sum.cuh"

#include <algorithm>

#include "core/gpu/backend.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = 256;

// One element per thread at a time. Grid: any number of blocks.
__global__ void __launch_bounds__(threads) scaled_sum_kernel(const ScaledSumTask task) {
  const int64_t step = int64_t{gridDim.x} * threads;
  for (int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x; i < task.size; i += step) {
    const float added = __fmul_rn(task.b, task.other[i]);
    task.sum[i] = task.a == 0 ? added : __fadd_rn(__fmul_rn(task.a, task.sum[i]), added);
  }
}

}  // namespace

void scaled_sum_gpu(Context& context, const ScaledSumTask& task) {
  GpuBackend& backend = gpu(context);
  const int64_t fill = int64_t{backend.multiprocessors()} * (2048 / threads);
  const auto blocks = static_cast<unsigned>(std::min((task.size + threads - 1) / threads, fill));
  scaled_sum_kernel<<<blocks, threads, 0, backend.stream()>>>(task);
  check_launch("scaled_sum");
}

}  // namespace sartor::cuda
