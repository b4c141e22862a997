// A block solves one row after the other: it adds up the normal equations, factorizes A = L L^T and solves, in shared
// memory for up to 96 numbers per row and in device memory beyond. Sums are in fp32 and in fixed order.
#include "factorization/bayesian/posterior.cuh"

#include <algorithm>
#include <numbers>

#include "base/random.h"
#include "base/require.h"
#include "core/gpu/backend.cuh"
#include "factorization/pivots.h"

namespace sartor::cuda {
namespace {

constexpr int threads = 128;
constexpr int64_t most_shared = 96;          // numbers per row whose matrix is in shared memory
constexpr int64_t most_columns = 8192;       // whose vectors fit in shared memory
constexpr int64_t stage_floats = 4096;       // features of ratings that are added together, at least those of one
constexpr int64_t scratch_floats = 1 << 27;  // for the matrices of all blocks in device memory, at least one

__host__ __device__ int64_t stage_depth(int64_t f) { return f < stage_floats ? stage_floats / f : 1; }
int64_t shared_floats(int64_t f) { return (f <= most_shared ? f * f : 0) + 2 * f + stage_depth(f) * (f + 1) + threads; }

// Memory of a block.
struct Block {
  float* matrix;     // (f, f), of which the lower triangle is used
  float* z;          // (f) right-hand side and solution
  float* bounds;     // (f) lower bounds of the pivots
  float* features;   // (depth, f)
  float* residuals;  // (depth)
  float* sums;       // (threads)
};

class RowSolver {
 public:
  __device__ RowSolver(const PosteriorTask& task, const Block& block, int64_t row)
      : task_(task),
        block_(block),
        row_(row),
        f_(task.fixed.columns),
        begin_(task.ratings.offsets[row]),
        end_(task.ratings.offsets[row + 1]) {}

  __device__ void solve() const {
    float shift = 0, mean = build(0);
    if (!(mean > 1e-30f)) mean = 1;
    bool solved = factorize();
    while (!solved && (shift = pivots::next_shift(shift, mean)) > 0) {
      build(shift);
      solved = factorize();
    }
    if (solved) substitute();
    float* x = task_.solved.data + row_ * f_;
    for (int64_t i = threadIdx.x; i < f_; i += threads) x[i] = solved ? block_.z[i] : nanf("");
    if (task_.errors) write_errors(solved);
    __syncthreads();
  }

 private:
  __device__ float& entry(int64_t i, int64_t j) const { return block_.matrix[i * f_ + j]; }

  // Loads features and residuals of up to stage_depth ratings from `first` on. Ends with a barrier.
  __device__ int64_t load(int64_t first) const {
    const int64_t count = min(stage_depth(f_), end_ - first);
    for (int64_t at = threadIdx.x; at < count * f_; at += threads) {
      const int64_t k = at / f_, i = at % f_;
      const float y = task_.fixed.data[task_.ratings.columns[first + k] * f_ + i];
      const bool is_bias = task_.biases && i == f_ - 1;
      block_.features[at] = is_bias ? 1 : y;
      if (i == f_ - 1) block_.residuals[k] = task_.ratings.values[first + k] - task_.mean - (is_bias ? y : 0);
    }
    __syncthreads();
    return count;
  }

  // Computes A and b. Returns the mean diagonal entry in all threads. Ends with a barrier.
  __device__ float build(float shift) const {
    const float* pull = task_.pull.data + (task_.pull.rows == 1 ? 0 : row_ * f_);
    for (int64_t at = threadIdx.x; at < f_ * f_; at += threads) block_.matrix[at] = task_.precision.data[at];
    for (int64_t i = threadIdx.x; i < f_; i += threads) block_.z[i] = pull[i];
    __syncthreads();
    for (int64_t first = begin_; first < end_; first += stage_depth(f_)) add(load(first));
    for (int64_t i = threadIdx.x; i < f_; i += threads) {
      entry(i, i) += shift;
      block_.bounds[i] = entry(i, i) * pivots::rounding;
    }
    __syncthreads();
    return total([&](int64_t i) { return entry(i, i); }, f_) / static_cast<float>(f_);
  }
  // Adds the loaded ratings. Ends with a barrier.
  __device__ void add(int64_t count) const {
    for (int64_t at = threadIdx.x; at < f_ * f_; at += threads) {
      const int64_t i = at / f_, j = at % f_;
      if (j > i) continue;
      float sum = 0;
      for (int64_t k = 0; k < count; k++) sum = fmaf(block_.features[k * f_ + i], block_.features[k * f_ + j], sum);
      block_.matrix[at] += task_.noise_precision * sum;
    }
    for (int64_t i = threadIdx.x; i < f_; i += threads) {
      float sum = 0;
      for (int64_t k = 0; k < count; k++) sum = fmaf(block_.residuals[k], block_.features[k * f_ + i], sum);
      block_.z[i] += task_.noise_precision * sum;
    }
    __syncthreads();
  }

  // Replaces A by L. Returns false in all threads if a pivot is not above its bound.
  __device__ bool factorize() const {
    for (int64_t k = 0; k < f_; k++) {
      const float pivot = entry(k, k);
      const bool above = pivot > block_.bounds[k];
      __syncthreads();
      if (!above) return false;
      const float root = sqrtf(pivot);
      for (int64_t i = k + threadIdx.x; i < f_; i += threads) entry(i, k) = i == k ? root : entry(i, k) / root;
      __syncthreads();
      const int64_t left = f_ - k - 1;
      for (int64_t at = threadIdx.x; at < left * left; at += threads) {
        const int64_t i = k + 1 + at / left, j = k + 1 + at % left;
        if (j <= i) entry(i, j) = fmaf(-entry(i, k), entry(j, k), entry(i, j));
      }
      __syncthreads();
    }
    return true;
  }

  // z = L^-T (L^-1 z + noise). Ends with a barrier.
  __device__ void substitute() const {
    float* z = block_.z;
    for (int64_t k = 0; k < f_; k++) {
      if (threadIdx.x == 0) z[k] /= entry(k, k);
      __syncthreads();
      for (int64_t i = k + 1 + threadIdx.x; i < f_; i += threads) z[i] = fmaf(-entry(i, k), z[k], z[i]);
      __syncthreads();
    }
    if (task_.draw) add_noise();
    for (int64_t k = f_ - 1; k >= 0; k--) {
      if (threadIdx.x == 0) z[k] /= entry(k, k);
      __syncthreads();
      for (int64_t i = threadIdx.x; i < k; i += threads) z[i] = fmaf(-entry(k, i), z[k], z[i]);
      __syncthreads();
    }
  }
  // The numbers of the CPU, up to rounding.
  __device__ void add_noise() const {
    const uint64_t seed = random_bits(task_.seed, task_.first_row + row_);
    for (int64_t i = 2 * threadIdx.x; i < f_; i += 2 * threads) {
      const double uniform = (static_cast<double>(random_bits(seed, i) >> 11) + 0.5) * 0x1p-53;
      const auto turn = static_cast<float>(random_bits(seed, i + 1) >> 40) * 0x1p-24f;
      const auto radius = static_cast<float>(sqrt(-2 * log(uniform)));
      const float angle = 2 * std::numbers::pi_v<float> * turn;
      block_.z[i] += radius * cosf(angle);
      if (i + 1 < f_) block_.z[i + 1] += radius * sinf(angle);
    }
    __syncthreads();
  }

  __device__ void write_errors(bool solved) const {
    double sum = 0;
    for (int64_t first = begin_; first < end_ && solved; first += stage_depth(f_)) {
      __syncthreads();
      const int64_t count = load(first);
      sum += total(
          [&](int64_t k) {
            float rest = block_.residuals[k];
            for (int64_t i = 0; i < f_; i++) rest = fmaf(-block_.z[i], block_.features[k * f_ + i], rest);
            return rest * rest;
          },
          count);
    }
    if (threadIdx.x == 0) task_.errors[row_] = solved ? sum : nan("");
  }

  // Sum of value(i) for i < count, in all threads. Ends with a barrier.
  template <class Value> __device__ float total(Value value, int64_t count) const {
    float sum = 0;
    for (int64_t i = threadIdx.x; i < count; i += threads) sum += value(i);
    block_.sums[threadIdx.x] = sum;
    __syncthreads();
    float all = 0;
    for (int thread = 0; thread < threads; thread++) all += block_.sums[thread];
    __syncthreads();
    return all;
  }

  const PosteriorTask& task_;
  const Block& block_;
  int64_t row_, f_, begin_, end_;
};

__global__ void __launch_bounds__(threads) draw_rows(PosteriorTask task, float* matrices) {
  extern __shared__ float shared[];
  const int64_t f = task.fixed.columns;
  float* z = shared + (matrices ? 0 : f * f);
  float* features = z + 2 * f;
  const Block block = {.matrix = matrices ? matrices + blockIdx.x * f * f : shared,
                       .z = z,
                       .bounds = z + f,
                       .features = features,
                       .residuals = features + stage_depth(f) * f,
                       .sums = features + stage_depth(f) * (f + 1)};
  for (int64_t row = blockIdx.x; row < task.solved.rows; row += gridDim.x) RowSolver(task, block, row).solve();
}

constexpr int64_t moment_rows = 1024;  // rows that a block adds up

// Element i of sum and products for the rows of each block: parts (blocks, f + f * f).
__global__ void __launch_bounds__(threads) add_moments(Rows<const float> rows, double* parts) {
  const int64_t f = rows.columns, size = f + f * f;
  const int64_t begin = blockIdx.x * moment_rows, end = min(begin + moment_rows, rows.rows);
  for (int64_t at = threadIdx.x; at < size; at += threads) {
    const int64_t i = at < f ? at : (at - f) / f, j = (at - f) % f;
    double sum = 0;
    for (int64_t row = begin; row < end; row++) {
      const float* x = rows.data + row * f;
      sum += at < f ? x[i] : static_cast<double>(x[i]) * x[j];
    }
    parts[blockIdx.x * size + at] = sum;
  }
}

__global__ void __launch_bounds__(threads) add_parts(const double* parts, int64_t count, MomentsTask task) {
  const int64_t f = task.rows.columns, size = f + f * f;
  for (int64_t at = blockIdx.x * int64_t(threads) + threadIdx.x; at < size; at += gridDim.x * int64_t(threads)) {
    double sum = 0;
    for (int64_t part = 0; part < count; part++) sum += parts[part * size + at];
    (at < f ? task.sum[at] : task.products[at - f]) = sum;
  }
}

}  // namespace

void draw_posterior_gpu(Context& context, const PosteriorTask& task) {
  GpuBackend& device = gpu(context);
  const int64_t f = task.fixed.columns;
  require(f <= most_columns, "draw_posterior: {} columns, expected at most {} on a GPU", f, most_columns);
  int64_t blocks = std::min<int64_t>(task.solved.rows, 16 * device.multiprocessors());
  float* matrices = nullptr;
  if (f > most_shared) {
    blocks = std::clamp<int64_t>(scratch_floats / (f * f), 1, blocks);
    matrices = static_cast<float*>(context.scratch(blocks * f * f * sizeof(float)));
  }
  const auto bytes = static_cast<int>(shared_floats(f) * sizeof(float));
  check(cudaFuncSetAttribute(draw_rows, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "draw_posterior");
  draw_rows<<<static_cast<unsigned>(blocks), threads, bytes, device.stream()>>>(task, matrices);
  check_launch("draw_posterior");
}

void row_moments_gpu(Context& context, const MomentsTask& task) {
  GpuBackend& device = gpu(context);
  const int64_t f = task.rows.columns, count = (task.rows.rows + moment_rows - 1) / moment_rows;
  auto* parts = static_cast<double*>(context.scratch(std::max<int64_t>(count, 1) * (f + f * f) * sizeof(double)));
  if (count > 0) {
    add_moments<<<static_cast<unsigned>(count), threads, 0, device.stream()>>>(task.rows, parts);
    check_launch("row_moments");
  }
  const auto blocks = static_cast<unsigned>(std::min<int64_t>((f + f * f + threads - 1) / threads, 1024));
  add_parts<<<blocks, threads, 0, device.stream()>>>(parts, count, task);
  check_launch("row_moments");
}

}  // namespace sartor::cuda
