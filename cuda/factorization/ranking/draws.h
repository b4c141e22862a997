// Random draws of ranking losses, the same on every device. Always inlined, so that the linker cannot merge copies of
// different builds.
#pragma once

#include <cstdint>

#include "core/views.h"

#ifdef __CUDACC__
#define SARTOR_DRAWS __host__ __device__ inline
#else
#define SARTOR_DRAWS [[gnu::always_inline]] inline
#endif

namespace sartor::cuda {

// A sequence of random numbers: SplitMix64 (Steele et al. 2014) from a random start.
class Draws {
 public:
  SARTOR_DRAWS Draws(uint64_t seed, uint64_t sequence) : state_(mixed(mixed(seed) + sequence * 0xd1342543de82ef95u)) {}

  // 0 to n - 1, for n up to 2^32.
  SARTOR_DRAWS int64_t below(int64_t n) {
    state_ += 0x9e3779b97f4a7c15u;
    return static_cast<int64_t>((mixed(state_) >> 32) * static_cast<uint64_t>(n) >> 32);
  }
  SARTOR_DRAWS void skip(int64_t count) { state_ += static_cast<uint64_t>(count) * 0x9e3779b97f4a7c15u; }

 private:
  SARTOR_DRAWS static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

  uint64_t state_;
};

// Whether the ascending list of a row contains the id.
SARTOR_DRAWS bool contains(const IdLists& lists, int64_t row, int32_t id) {
  const int32_t* first = lists.ids + lists.offsets[row];
  int64_t size = lists.offsets[row + 1] - lists.offsets[row];
  if (size == 0) return false;
  while (size > 1) {  // the id is among `size` ids from `first` on, or nowhere
    const int64_t half = size / 2;
    first += first[half] <= id ? half : 0;
    size -= half;
  }
  return *first == id;
}

}  // namespace sartor::cuda

#undef SARTOR_DRAWS
