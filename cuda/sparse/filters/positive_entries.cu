// A block has a row at a time.
#include <algorithm>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>

#include "core/gpu/backend.cuh"
#include "sparse/filters/positive_entries.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = 512;

// Grid: any number of blocks.
__global__ void __launch_bounds__(threads) count_positive_kernel(const CountPositiveTask task) {
  using Reduce = cub::BlockReduce<int64_t, threads>;
  __shared__ typename Reduce::TempStorage memory;
  for (int64_t row = blockIdx.x; row < task.dense.rows; row += gridDim.x) {
    const float* const from = task.dense.data + row * task.dense.columns;
    int64_t count = 0;
#pragma unroll 4
    for (int64_t column = threadIdx.x; column < task.dense.columns; column += threads) count += from[column] > 0;
    count = Reduce(memory).Sum(count);
    if (threadIdx.x == 0) task.counts[row] = count;
    __syncthreads();
  }
}

// The place of an entry follows from the number of those before it. Grid: any number of blocks.
__global__ void __launch_bounds__(threads) take_positive_kernel(const TakePositiveTask task) {
  using Scan = cub::BlockScan<int, threads>;
  __shared__ typename Scan::TempStorage memory;
  for (int64_t row = blockIdx.x; row < task.dense.rows; row += gridDim.x) {
    const float* const from = task.dense.data + row * task.dense.columns;
    int64_t begin = task.offsets[row];
    for (int64_t first = 0; first < task.dense.columns; first += threads) {
      const int64_t column = first + threadIdx.x;
      const float value = column < task.dense.columns ? from[column] : 0;
      int before = 0, found = 0;
      Scan(memory).ExclusiveSum(value > 0 ? 1 : 0, before, found);
      if (value > 0) {
        task.columns[begin + before] = static_cast<int32_t>(column);
        task.values[begin + before] = value;
      }
      begin += found;
      __syncthreads();
    }
  }
}

unsigned blocks(const GpuBackend& backend, int64_t rows) {
  return static_cast<unsigned>(std::min(rows, int64_t{backend.multiprocessors()} * (2048 / threads)));
}

}  // namespace

void count_positive_gpu(Context& context, const CountPositiveTask& task) {
  GpuBackend& backend = gpu(context);
  count_positive_kernel<<<blocks(backend, task.dense.rows), threads, 0, backend.stream()>>>(task);
  check_launch("count_positive");
}

void take_positive_gpu(Context& context, const TakePositiveTask& task) {
  GpuBackend& backend = gpu(context);
  take_positive_kernel<<<blocks(backend, task.dense.rows), threads, 0, backend.stream()>>>(task);
  check_launch("take_positive");
}

}  // namespace sartor::cuda
