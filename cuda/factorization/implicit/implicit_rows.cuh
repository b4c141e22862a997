// Rows of implicit_update on a GPU.
#pragma once

#include "core/gpu/four.cuh"
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

// The sum over `lanes` neighbouring lanes, in all of them.
template <int lanes> __device__ inline float sum_of_lanes(float value) {
#pragma unroll
  for (int step = 1; step < lanes; step *= 2) value += __shfl_xor_sync(~0u, value, step);
  return value;
}

}  // namespace sartor::cuda
