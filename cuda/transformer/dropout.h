// Dropout of kernels that have no stored mask.
#pragma once

#include <cstdint>

namespace sartor::cuda {

// Drops elements with probability 1 - keep and divides the rest by keep. Whether an element is dropped follows from the
// seed and its place alone, so that a backward pass finds the same ones again and nothing is stored.
struct Dropout {
  float keep = 1;  // 1: nothing is dropped
  uint64_t seed = 0;
};

// Head h of sequence b of a batch has the seed of the whole plus (b * heads + h) times this.
constexpr uint64_t head_seed_step = 0x9e3779b97f4a7c15;

}  // namespace sartor::cuda
