// Layer normalisation on the CPU with what stands around it: dropout, residual, embeddings. Built once an instruction
// set.
#pragma once

#include <cstdint>

#include "transformer/dropout.h"
#include "transformer/store.h"

namespace sartor::cuda {

// normalised = (sum - mean) rstd weight + bias, where sum = dropout(x) + residual
struct NormRows {
  int64_t rows, columns;
  const void* x;
  const void* residual;  // may be null
  const float *weight, *bias;
  float eps;
  Dropout dropout;
  Store store;         // of x, residual, sum and normalised
  void* sum;           // may be null; neither x nor residual
  float *mean, *rstd;  // (rows); may be null
  void* normalised;    // may be x or residual
  int64_t first_row;   // of these in the whole, for dropout
};

// Gradients: by sum, and by x where that differs by its dropout (null where not asked for). Those by weight and bias
// are added to.
struct NormGradient {
  const void* normalised;
  const void* also;  // by sum, from whatever else reads it; may be null
  const void* sum;
  const float *mean, *rstd;
  void *by_sum, *by_x;
  float *by_weight, *by_bias;
};

// normalised = layer norm of word_i + position_j + type_k, rows of fp32 tables.
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

const NormKernels& norm_kernels();  // of this CPU's best instruction set

namespace v3 {
extern const NormKernels norm_kernels;
}
namespace v4 {
extern const NormKernels norm_kernels;
}

}  // namespace sartor::cuda
