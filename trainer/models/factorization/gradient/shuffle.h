// Random permutations that depend only on a seed.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "base/random.h"

namespace sartor {

// Shuffles the values (Fisher and Yates) with the random numbers first, first + 1, ... of the seed.
template <class T> void shuffle(std::span<T> values, uint64_t seed, uint64_t first) {
  for (size_t left = values.size(); left > 1; left--) {
    const auto wide = static_cast<unsigned __int128>(random_bits(seed, first + left - 1)) * left;
    std::swap(values[left - 1], values[static_cast<size_t>(wide >> 64)]);
  }
}

}  // namespace sartor
