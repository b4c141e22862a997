// A team computes a row of the product in device memory: for each entry of the row of `left`, in order, its threads add
// to the elements of the matching row of `right`, which are different ones. The order and the rounding of the sums are
// those of the CPU. Teams are warps if rows of `right` are short, whose lanes would mostly be idle in a block, and
// blocks otherwise. Presumes that rows of `left` have at least some entries; uses no shared memory.
#include "sparse/filters/multiply_sparse.cuh"

#include <algorithm>

#include "core/gpu/backend.cuh"
#include "core/gpu/team.cuh"
#include "sparse/row_entries.cuh"

namespace sartor::cuda {
namespace {

constexpr int threads = 128, lanes = 32;
constexpr int blocks_per_multiprocessor = 12;  // with enough registers that none is spilled

// The product is 0 before. Grid: any number of blocks.
template <int size> __global__ void __launch_bounds__(threads, blocks_per_multiprocessor)
    multiply_sparse_kernel(const MultiplySparseTask task) {
  using Team = TeamOf<size, threads>;
  const auto& [left, right, product] = task;
  for (int64_t row = Team::index(); row < product.rows; row += Team::count()) {
    float* const sums = product.data + row * product.columns;
    const int64_t end = left.offsets[row + 1];
    for (int64_t some = left.offsets[row]; some < end; some += lanes) {
      const RowEntry own = load_entry(left, right, some + threadIdx.x % lanes, end);
      const int count = static_cast<int>(min(end - some, int64_t{lanes}));
      for (int i = 0; i < count; i++) {
        const RowEntry entry = entry_of_lane(own, i);
        for (int64_t at = entry.first + Team::rank(); at < entry.last; at += size) {
          float& sum = sums[right.columns[at]];
          sum = __fadd_rn(sum, __fmul_rn(entry.value, right.values[at]));
        }
        Team::sync();
      }
    }
  }
}

template <int size> void launch(GpuBackend& backend, const MultiplySparseTask& task) {
  using Team = TeamOf<size, threads>;
  const int64_t fill = int64_t{backend.multiprocessors()} * blocks_per_multiprocessor;
  const auto blocks = std::min((task.product.rows + Team::per_block - 1) / Team::per_block, fill);
  multiply_sparse_kernel<size><<<static_cast<unsigned>(blocks), threads, 0, backend.stream()>>>(task);
  check_launch("multiply_sparse");
}

}  // namespace

void multiply_sparse_gpu(Context& context, const MultiplySparseTask& task) {
  GpuBackend& backend = gpu(context);
  const auto& [left, right, product] = task;
  check(cudaMemsetAsync(product.data, 0, product.rows * product.columns * sizeof(float), backend.stream()),
        "multiply_sparse: zeros");
  if (right.rows == 0) return;
  int64_t entries = 0;
  backend.copy_out(&entries, right.offsets + right.rows, sizeof entries);
  const bool short_rows = entries < threads / 2 * right.rows;
  short_rows ? launch<lanes>(backend, task) : launch<threads>(backend, task);
}

}  // namespace sartor::cuda
