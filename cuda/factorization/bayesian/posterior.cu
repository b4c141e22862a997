// Rows are solved as those of explicit ALS, with the prior as a part of the system that does not depend on ratings, and
// with noise between the two triangular solves. All equations are divided by the noise precision.
#include "factorization/bayesian/posterior.cuh"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/random.h"
#include "base/require.h"
#include "factorization/systems/row_systems.cuh"

namespace sartor::cuda {
namespace {

constexpr int64_t most_columns = 8192;
constexpr int threads = 128, lanes = 32, warps = threads / lanes;

// Rows of `fixed` with 1 in place of the biases, padded with zeros so that they can be copied 16 bytes at a time.
struct Features {
  const float* data;
  int64_t stride;
};

int64_t padded(int64_t columns) { return (columns + 3) / 4 * 4; }

__device__ int64_t warp_index() { return int64_t{blockIdx.x} * warps + threadIdx.x / lanes; }

// A warp per row of `fixed`.
__global__ void __launch_bounds__(threads)
    copy_features(Rows<const float> fixed, bool biases, int64_t stride, float* features) {
  const int64_t row = warp_index();
  if (row >= fixed.rows) return;
  for (int64_t i = threadIdx.x % lanes; i < stride; i += lanes) {
    const float value = i < fixed.columns ? fixed.data[row * fixed.columns + i] : 0;
    features[row * stride + i] = biases && i == fixed.columns - 1 ? 1 : value;
  }
}

__device__ const float* bias_of(const PosteriorTask& task, int32_t column) {
  return task.biases ? task.fixed.data + (column + 1) * task.fixed.columns - 1 : nullptr;
}

// A row of draw_posterior; see row_systems.cuh.
struct PosteriorProblem {
  static constexpr bool weighted = false, may_be_biased = false, has_dual = false, drawn = true;

  PosteriorTask task;
  Features y;
  float variance, deviation;  // of the ratings' noise

  __host__ __device__ int64_t unknowns() const { return task.fixed.columns; }
  __device__ AlsEquations equations(int64_t index) const {
    return {task.ratings.offsets[index + 1] - task.ratings.offsets[index], unknowns(), 0, 0, false, false};
  }
  __device__ AlsRow row(int64_t index) const {
    const int64_t begin = task.ratings.offsets[index];
    return {equations(index), task.ratings.columns + begin, task.ratings.values + begin};
  }

  __device__ const float* features() const { return y.data; }
  __device__ int64_t stride() const { return y.stride; }
  __device__ bool aligned() const { return true; }

  __device__ bool has_second() const { return task.biases; }
  __device__ const float* second(const AlsRow&, int64_t, int32_t column) const { return bias_of(task, column); }
  __device__ Term term(float rating, float bias) const { return {1, rating - task.mean - bias}; }
  __device__ float start(int64_t i, int64_t j) const { return variance * task.precision.data[i * unknowns() + j]; }
  __device__ float right_side(const AlsRow&, int64_t index, int64_t i) const {
    return variance * task.pull.data[(task.pull.rows == 1 ? 0 : index * unknowns()) + i];
  }
  // The numbers of the CPU, up to rounding.
  __device__ float noise(int64_t index, int64_t i) const {
    if (!task.draw) return 0;
    const uint64_t seed = random_bits(task.seed, task.first_row + index), pair = i / 2 * 2;
    const double uniform = (static_cast<double>(random_bits(seed, pair) >> 11) + 0.5) * 0x1p-53;
    const auto turn = static_cast<float>(random_bits(seed, pair + 1) >> 40) * 0x1p-24f;
    const auto radius = static_cast<float>(sqrt(-2 * log(uniform)));
    const float angle = 2 * std::numbers::pi_v<float> * turn;
    return deviation * radius * (i % 2 ? sinf(angle) : cosf(angle));
  }

  __device__ void write(int64_t index, int64_t i, float value) const {
    task.solved.data[index * unknowns() + i] = value;
  }
  __device__ void fill(int64_t index, int64_t i, float value) const { write(index, i, value); }
  __device__ void write_bias(int64_t, float) const {}
};

// Sums of the squared residuals of each row's ratings: a warp per row, whose groups of eight lanes divide its ratings.
__global__ void __launch_bounds__(threads) add_errors(PosteriorTask task, Features y) {
  constexpr int group = 8;
  const int64_t row = warp_index(), f = task.fixed.columns;
  if (row >= task.solved.rows) return;
  const float* x = task.solved.data + row * f;
  const int64_t end = task.ratings.offsets[row + 1];
  const int lane = threadIdx.x % lanes;
  double sum = 0;
  for (int64_t first = task.ratings.offsets[row]; first < end; first += lanes / group) {
    const int64_t at = first + lane / group;
    const int32_t column = at < end ? task.ratings.columns[at] : 0;
    float product = 0;
    for (int64_t i = lane % group; at < end && i < f; i += group) {
      product = fmaf(x[i], y.data[column * y.stride + i], product);
    }
    for (int step = 1; step < group; step *= 2) product += __shfl_xor_sync(~0u, product, step);
    if (at < end) {
      const float rest = task.ratings.values[at] - task.mean - (task.biases ? *bias_of(task, column) : 0) - product;
      sum += double{rest} * rest;
    }
  }
  for (int step = group; step < lanes; step *= 2) sum += __shfl_xor_sync(~0u, sum, step);
  if (lane == 0) task.errors[row] = isnan(x[0]) ? nan("") : sum;  // the row is not solved
}

constexpr int64_t moment_rows = 1024;  // rows that a block adds up

// Element i of sum and products for some rows: parts (gridDim.x, f + f * f). Blocks (parts, pieces of the elements).
__global__ void __launch_bounds__(threads) add_moments(Rows<const float> rows, double* parts) {
  const int64_t f = rows.columns, size = f + f * f;
  const int64_t begin = blockIdx.x * moment_rows, end = min(begin + moment_rows, rows.rows);
  for (int64_t at = blockIdx.y * threads + threadIdx.x; at < size; at += gridDim.y * threads) {
    const int64_t i = at < f ? at : (at - f) / f, j = (at - f) % f;
    double sum = 0;
#pragma unroll 4
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

unsigned blocks_of(int64_t warp_count) { return static_cast<unsigned>((warp_count + warps - 1) / warps); }

}  // namespace

void draw_posterior_gpu(Context& context, const PosteriorTask& task) {
  constexpr const char* name = "draw_posterior";
  GpuBackend& device = gpu(context);
  const int64_t f = task.fixed.columns, stride = padded(f), rows = task.solved.rows;
  require(f <= most_columns, "{}: {} columns, expected at most {} on a GPU", name, f, most_columns);
  const auto divided = [&](char* memory, float*& features, char*& systems) {
    Arrays arrays(memory);
    arrays.place(features, task.fixed.rows * stride);
    arrays.place(systems, static_cast<int64_t>(systems_bytes(device, rows, f)));
    return arrays.bytes();
  };
  float* features = nullptr;
  char* systems = nullptr;
  divided(static_cast<char*>(context.scratch(divided(nullptr, features, systems))), features, systems);
  if (task.fixed.rows > 0) {
    copy_features<<<blocks_of(task.fixed.rows), threads, 0, device.stream()>>>(task.fixed, task.biases, stride,
                                                                               features);
    check_launch(name);
  }
  const PosteriorProblem problem = {
      task, {features, stride}, 1 / task.noise_precision, 1 / std::sqrt(task.noise_precision)};
  solve_systems(device, problem, 0, rows, systems, name);
  if (!task.errors) return;
  add_errors<<<blocks_of(rows), threads, 0, device.stream()>>>(task, problem.y);
  check_launch(name);
}

void row_moments_gpu(Context& context, const MomentsTask& task) {
  constexpr int64_t most_pieces = 1024;
  GpuBackend& device = gpu(context);
  const int64_t f = task.rows.columns, count = (task.rows.rows + moment_rows - 1) / moment_rows;
  auto* parts = static_cast<double*>(context.scratch(std::max<int64_t>(count, 1) * (f + f * f) * sizeof(double)));
  const auto pieces = static_cast<unsigned>(std::min((f + f * f + threads - 1) / threads, most_pieces));
  if (count > 0) {
    add_moments<<<dim3(static_cast<unsigned>(count), pieces), threads, 0, device.stream()>>>(task.rows, parts);
    check_launch("row_moments");
  }
  add_parts<<<pieces, threads, 0, device.stream()>>>(parts, count, task);
  check_launch("row_moments");
}

}  // namespace sartor::cuda
