// Products of fp32 matrices on tensor cores.
//
// Precision: each element is the sum of two TF32 numbers, high + low, up to 2^-22 of its magnitude. A product is the
// sum of low * high, high * low and high * high; the omitted low * low is below 2^-22 of it. Tensor cores truncate
// their sums, which would accumulate to a bias in long sums. Therefore the products of 8 terms are summed from 0,
// smallest first, and added outside the tensor core with fp32 rounding (Ootomo and Yokota 2022): at most three
// truncations of 2^-23 relative to the sum of 8 terms, independent of the number of terms.
#pragma once

#include "core/gpu/tensor_cores.cuh"

namespace sartor::cuda {

// 8 terms x 8 columns: terms l % 4 and l % 4 + 4 of column l / 4.
struct Split {
  uint32_t high[2], low[2];
};

// Multiplies elements of terms l % 4 (half 0) and l % 4 + 4 (half 1) by weights of the terms.
struct NoWeights {
  static __device__ float scaled(float x, int /*half*/) { return x; }
};

// Terms from `term` on and columns from `column` on of a matrix in shared memory.
template <int term_stride, int column_stride, class Weights = NoWeights>
__device__ Split load_split(const float* matrix, int term, int column, const Weights& weights = {}) {
  const int lane = threadIdx.x % 32;
  const float* at = matrix + (term + lane % 4) * term_stride + (column + lane / 4) * column_stride;
  Split to;
  split_tf32(weights.scaled(at[0], 0), to.high[0], to.low[0]);
  split_tf32(weights.scaled(at[4 * term_stride], 1), to.high[1], to.low[1]);
  return to;
}

// sums += [top bottom]^T right for `count` times 8 columns on the right.
template <int count>
__device__ void add_products(float (*sums)[4], const Split& top, const Split& bottom, const Split* right) {
  const uint32_t high[4] = {top.high[0], bottom.high[0], top.high[1], bottom.high[1]};
  const uint32_t low[4] = {top.low[0], bottom.low[0], top.low[1], bottom.low[1]};
  Sums16x8 fresh[count];
#pragma unroll
  for (int j = 0; j < count; j++) multiply_tf32(fresh[j], low, right[j].high);
#pragma unroll
  for (int j = 0; j < count; j++) multiply_add_tf32(fresh[j], high, right[j].low);
#pragma unroll
  for (int j = 0; j < count; j++) multiply_add_tf32(fresh[j], high, right[j].high);
#pragma unroll
  for (int j = 0; j < count; j++) {
#pragma unroll
    for (int e = 0; e < 4; e++) sums[j][e] += fresh[j][e];
  }
}

}  // namespace sartor::cuda
