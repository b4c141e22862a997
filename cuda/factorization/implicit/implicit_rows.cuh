// Rows of implicit_update on a GPU.
#pragma once

#include "factorization/implicit/implicit_equations.h"
#include "factorization/systems/gram_shape.cuh"

namespace sartor::cuda {

struct ImplicitRows {
  ImplicitTask task;

  __host__ __device__ int64_t factors() const { return task.fixed.columns; }
  // With as many unknowns as `unknowns`.
  __device__ AlsEquations equations(int64_t index, int64_t unknowns) const {
    const int64_t entries = task.entries.offsets[index + 1] - task.entries.offsets[index];
    const float lambda = implicit_regularization(task.params, entries, task.fixed.rows);
    return {entries, unknowns, lambda, 0, false, false};
  }
  __device__ AlsRow row(int64_t index, int64_t unknowns) const {
    const int64_t begin = task.entries.offsets[index];
    return {equations(index, unknowns), task.entries.columns + begin, task.entries.values + begin};
  }
  __device__ float* solved(int64_t index) const { return task.solved.data + index * factors(); }
};

// Whether rows of `columns` floats can be read 16 bytes at a time.
__host__ __device__ inline bool aligned_rows(const float* data, int64_t columns) {
  return columns % 4 == 0 && reinterpret_cast<uintptr_t>(data) % 16 == 0;
}

// Elements `at` to at + 3 of a vector. Those from `size` on are 0.
__device__ inline float4 load_four(const float* vector, int64_t at, int64_t size, bool aligned) {
  if (at >= size) return {};
  if (aligned) return *reinterpret_cast<const float4*>(vector + at);
  float4 four = {vector[at], 0, 0, 0};
  if (at + 1 < size) four.y = vector[at + 1];
  if (at + 2 < size) four.z = vector[at + 2];
  if (at + 3 < size) four.w = vector[at + 3];
  return four;
}
__device__ inline float dot(const float4& a, const float4& b, float sum) {
  return fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, fmaf(a.w, b.w, sum))));
}
// sums += scale * a
__device__ inline void accumulate(float4& sums, float scale, const float4& a) {
  sums = {fmaf(scale, a.x, sums.x), fmaf(scale, a.y, sums.y), fmaf(scale, a.z, sums.z), fmaf(scale, a.w, sums.w)};
}
// to[at] to to[at + 3] += four, without those from `size` on
__device__ inline void add_four(float* to, int64_t at, int64_t size, const float4& four) {
  const float values[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
  for (int e = 0; e < 4; e++) {
    if (at + e < size) to[at + e] += values[e];
  }
}

// The sum over `lanes` neighbouring lanes, in all of them.
template <int lanes> __device__ inline float sum_of_lanes(float value) {
#pragma unroll
  for (int step = 1; step < lanes; step *= 2) value += __shfl_xor_sync(~0u, value, step);
  return value;
}

}  // namespace sartor::cuda
