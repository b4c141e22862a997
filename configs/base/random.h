// Counter-based random numbers: the value at (seed, index) does not depend on machine, order or number of threads.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace sartor {

// 64 random bits (finalizer of SplitMix64, Steele et al. 2014, applied twice, so that neighboring seeds are
// independent). For everything except splits.
constexpr uint64_t random_bits(uint64_t seed, uint64_t index) {
  uint64_t x = seed * 0x9e3779b97f4a7c15u + index * 0xbf58476d1ce4e5b9u + 0x94d049bb133111ebu;
  for (int round = 0; round < 2; round++) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
  }
  return x;
}

// Number `index` of the generator SplitMix64 (Steele et al. 2014). Seeds that differ by a multiple of its increment
// share numbers. Only splits use it, and must continue to: with other numbers, a seed would split the same ratings
// differently, and test sets would contain ratings that earlier models were trained on.
constexpr uint64_t splitmix64(uint64_t seed, uint64_t index) {
  uint64_t x = seed + (index + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// A standard normal number, from two uniform ones (Box and Muller 1958).
inline double random_normal(uint64_t seed, uint64_t index) {
  const double radius = (static_cast<double>(random_bits(seed, 2 * index) >> 11) + 0.5) * 0x1p-53;
  const double angle = static_cast<double>(random_bits(seed, 2 * index + 1) >> 11) * 0x1p-53;
  return std::sqrt(-2 * std::log(radius)) * std::cos(2 * std::numbers::pi * angle);
}

}  // namespace sartor
