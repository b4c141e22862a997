// Threads of a block that work on one row.
#pragma once

#include <cstdint>

namespace sartor::cuda {

// A warp (size 32), or a whole block, of blocks of `threads` threads.
template <int size, int threads> struct TeamOf {
  static_assert(size == 32 || size == threads);
  static constexpr int per_block = threads / size;

  static __device__ int rank() { return threadIdx.x % size; }
  static __device__ int64_t index() { return int64_t{blockIdx.x} * per_block + threadIdx.x / size; }
  static __device__ int64_t count() { return int64_t{gridDim.x} * per_block; }
  static __device__ void sync() {
    if constexpr (size == 32) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }
};

}  // namespace sartor::cuda
