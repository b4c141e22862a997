// Dropout without a stored mask.
#pragma once

#include <cstdint>

namespace sartor::cuda {

// Drops elements with probability 1 - keep and divides the others by keep. Which elements are dropped depends only on
// the seed and their positions, so that the backward pass recomputes the mask.
struct Dropout {
  float keep = 1;  // 1: no dropout
  uint64_t seed = 0;
};

// The seed of head h of sequence b is the batch's seed plus (b * heads + h) times this.
constexpr uint64_t head_seed_step = 0x9e3779b97f4a7c15;

}  // namespace sartor::cuda
