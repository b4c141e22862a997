// Signals are filtered in groups of `lanes`, the columns of dense matrices (items, lanes) and (users, lanes), which
// sparse products keep in the L2 cache for up to some 100,000 users and items. A group always has `lanes` columns, so
// that a signal's sums do not depend on the others.
#include "sparse/filters/graph_filter.cuh"

#include <algorithm>
#include <utility>

#include "sparse/filters/sparse_product.cuh"

namespace sartor::cuda {
namespace {

constexpr int lanes = 64, threads = 256, side = 32;

// to (I, lanes) += coefficient x, for signals first to first + gridDim.x - 1, one per block. Entries of a signal belong
// to different items.
__global__ void __launch_bounds__(threads)
    add_signals_kernel(const Csr<const float> signals, int64_t first, float coefficient, float* to) {
  const int64_t row = first + blockIdx.x, end = signals.offsets[row + 1];
  for (int64_t at = signals.offsets[row] + threadIdx.x; at < end; at += threads) {
    float& sum = to[int64_t{signals.columns[at]} * lanes + blockIdx.x];
    sum = fmaf(coefficient, signals.values[at], sum);
  }
}

// to (count, items) = scale from^T for the first `count` columns of from (items, lanes). A block transposes `side`
// items through shared memory, with rows that avoid bank conflicts.
__global__ void __launch_bounds__(threads)
    transpose_kernel(const float* from, int64_t items, const float* scale, int64_t count, float* to) {
  __shared__ float tile[lanes][side + 1];
  const int64_t first = int64_t{blockIdx.x} * side;
  for (int i = threadIdx.x / lanes; i < side && first + i < items; i += threads / lanes) {
    tile[threadIdx.x % lanes][i] = from[(first + i) * lanes + threadIdx.x % lanes];
  }
  __syncthreads();
  const int64_t item = first + threadIdx.x % side;
  if (item >= items) return;
  const float factor = scale ? scale[item] : 1;
  for (int64_t lane = threadIdx.x / side; lane < count; lane += threads / side) {
    to[lane * items + item] = factor * tile[lane][threadIdx.x % side];
  }
}

class Lanes {
 public:
  static int64_t floats(const GraphFilterTask& task) { return (2 * task.by_item.rows + task.by_user.rows) * lanes; }

  Lanes(GpuBackend& backend, const GraphFilterTask& task, float* memory)
      : backend_(backend),
        task_(task),
        next_(memory),
        after_(next_ + task.by_item.rows * lanes),
        of_users_(after_ + task.by_item.rows * lanes) {}

  // Clenshaw's recurrence for signals first to last - 1, see graph_filter_cpu.cpp. b_{K+1} is 0 and not read.
  void filter(int64_t first, int64_t last) {
    const int64_t degree = std::ssize(task_.coefficients) - 1;
    check(cudaMemsetAsync(next_, 0, task_.by_item.rows * lanes * sizeof(float), backend_.stream()), "graph_filter");
    add_signals(first, last, task_.coefficients[degree], next_);
    for (int64_t k = degree - 1; k >= 0; k--) {
      const float twice = k == 0 ? 1 : 2;
      multiply({.matrix = task_.by_user, .right = next_, .to = of_users_, .columns = lanes});
      multiply({.matrix = task_.by_item,
                .right = of_users_,
                .to = after_,
                .columns = lanes,
                .a = -2 * twice,
                .plus = next_,
                .b = twice,
                .c = k == degree - 1 ? 0.0f : -1.0f});
      std::swap(next_, after_);
      add_signals(first, last, task_.coefficients[k], next_);
    }
    const int64_t items = task_.by_item.rows;
    transpose_kernel<<<static_cast<unsigned>((items + side - 1) / side), threads, 0, backend_.stream()>>>(
        next_, items, task_.scale, last - first, task_.filtered.row(first));
    check_launch("graph_filter");
  }

 private:
  void multiply(const SparseRows& rows) const { multiply_rows_gpu(backend_, rows, "graph_filter"); }
  void add_signals(int64_t first, int64_t last, float coefficient, float* to) const {
    add_signals_kernel<<<static_cast<unsigned>(last - first), threads, 0, backend_.stream()>>>(task_.signals, first,
                                                                                               coefficient, to);
    check_launch("graph_filter");
  }

  GpuBackend& backend_;
  const GraphFilterTask& task_;
  float *next_, *after_;  // (I, lanes) b_{k+1} and b_{k+2}
  float* of_users_;       // (U, lanes)
};

}  // namespace

void graph_filter_gpu(Context& context, const GraphFilterTask& task) {
  GpuBackend& backend = gpu(context);
  auto* const memory = static_cast<float*>(context.scratch(Lanes::floats(task) * sizeof(float)));
  for (int64_t first = 0; first < task.signals.rows; first += lanes) {
    Lanes(backend, task, memory).filter(first, std::min(first + lanes, task.signals.rows));
  }
}

}  // namespace sartor::cuda
