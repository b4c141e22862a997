// Inner loops of sample on the CPU, compiled once per instruction set.
#pragma once

#include <cstdint>

#include "decoding/rules.h"

namespace sartor::cuda {

// Logits per block. Rows are searched by the largest logits or the sums of weights of their blocks.
constexpr int64_t logit_block = 64;

struct RowMaxima {
  float largest;  // -inf if there is no larger one
  bool any_nan;
};

struct SamplingKernels {
  // Writes the largest logit of each block of a row of n, NaN apart.
  RowMaxima (*find_maxima)(const float* row, int64_t n, float* maxima);

  // Writes the sum of the weights of each block; returns their sum.
  uint64_t (*sum_blocks)(const float* row, int64_t n, float largest, float scale, uint64_t* sums);

  // Writes the weight of each logit.
  void (*weigh)(const float* logits, int64_t n, float largest, float scale, uint64_t* weights);

  // Appends logits that are at least `cut`, and their ids, in the order of ids; returns their number. `logits` and
  // `ids` have room for n.
  int64_t (*gather)(const float* row, int64_t n, const float* maxima, float cut, float* logits, int32_t* ids);

  // Sets the weights of tokens that are not kept to 0; returns the sum of the others.
  uint64_t (*keep)(const float* logits, const int32_t* ids, int64_t n, const Kept& kept, uint64_t* weights);
};

namespace v3 {
extern const SamplingKernels sampling_kernels;
}
namespace v4 {
extern const SamplingKernels sampling_kernels;
}

}  // namespace sartor::cuda
