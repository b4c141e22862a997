// Vectors in device memory, read and written four elements at a time.
#pragma once

#include <cstdint>

namespace sartor::cuda {

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
// to[at] to to[at + 3] = four, without those from `size` on
__device__ inline void store_four(float* to, int64_t at, int64_t size, bool aligned, const float4& four) {
  if (at >= size) return;
  if (aligned) {
    *reinterpret_cast<float4*>(to + at) = four;
    return;
  }
  const float values[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
  for (int e = 0; e < 4; e++) {
    if (at + e < size) to[at + e] = values[e];
  }
}
// to[at] to to[at + 3] += four, without those from `size` on
__device__ inline void add_four(float* to, int64_t at, int64_t size, const float4& four) {
  const float values[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
  for (int e = 0; e < 4; e++) {
    if (at + e < size) to[at + e] += values[e];
  }
}

}  // namespace sartor::cuda
