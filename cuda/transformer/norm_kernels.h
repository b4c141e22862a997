// Layer and RMS normalization on the CPU, fused with dropout, residual or embeddings. Compiled once per instruction
// set.
#pragma once

#include <cstdint>

#include "transformer/dropout.h"
#include "transformer/store.h"

namespace sartor::cuda {

// normalised = (sum - mean) rstd weight + bias, where sum = dropout(x) + residual. RMS normalization has neither mean
// nor bias; sum rstd is rounded to the element type before it is multiplied by the weight.
struct NormRows {
  int64_t rows, columns;
  const void* x;
  const void* residual;  // may be null
  const float *weight, *bias;
  float eps;
  Dropout dropout;
  Store store;         // element type of x, residual, sum and normalised
  void* sum;           // may be null; must not alias x or residual
  float *mean, *rstd;  // (rows); may be null
  void* normalised;    // may alias x or residual
  int64_t first_row;   // index of the first row in the batch, for dropout
  bool rms = false;    // bias, mean and by_bias are not used
};

// Gradients with respect to sum and, if it differs because of dropout, x (null if not needed). Gradients with respect
// to weight and bias are added to by_weight and by_bias.
struct NormGradient {
  const void* normalised;
  const void* also;  // gradient of sum from its other uses; may be null
  const void* sum;
  const float *mean, *rstd;
  void *by_sum, *by_x;
  float *by_weight, *by_bias;
};

// normalised = layer norm of word_i + position_j + type_k, which are rows of fp32 tables.
struct EmbeddingRows {
  int64_t rows, columns;
  const float *words, *positions, *types;
  const int64_t *word_ids, *position_ids, *type_ids;
  const float *weight, *bias;
  float eps;
  Store store;
  void* normalised;
};

struct NormKernels {
  void (*normalise)(const NormRows&);
  void (*normalise_backward)(const NormRows&, const NormGradient&);
  void (*embed)(const EmbeddingRows&);
};

const NormKernels& norm_kernels();  // for the best instruction set of this CPU

namespace v3 {
extern const NormKernels norm_kernels;
}
namespace v4 {
extern const NormKernels norm_kernels;
}

}  // namespace sartor::cuda
