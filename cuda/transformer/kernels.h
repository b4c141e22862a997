// Inner loops of BERT on the CPU that libtorch has not, or only for padded batches: attention over packed sequences,
// and layer normalisation with what stands around it. Built once an instruction set. Sums are fp32 whatever is stored.
#pragma once

#include <cstdint>

namespace sartor::cuda {

enum class Store : uint8_t { fp32, bf16 };  // of the elements behind a void pointer

// Drops elements with probability 1 - keep and divides the rest by keep. Whether an element is dropped follows from the
// seed and its place alone, so that a backward pass finds the same ones again and nothing is stored.
struct Dropout {
  float keep = 1;  // 1: nothing is dropped
  uint64_t seed = 0;
};

// One head of one sequence; rows lie `stride` elements apart.
//   out = dropout(softmax(scale q k^T)) v
struct AttentionHead {
  const void *q, *k, *v;  // (q_rows, d), (k_rows, d), (k_rows, d)
  int64_t q_stride, kv_stride;
  int64_t q_rows, k_rows, d;
  float scale;
  Dropout dropout;
  Store store;
  void* out;  // (q_rows, d)
  int64_t out_stride;
  float* scratch;  // attention_scratch() floats, aligned to 64 bytes
};

// Gradients by q, k and v, each written whole.
struct AttentionGradient {
  const void* out;  // by out
  int64_t out_stride;
  void *q, *k, *v;
  int64_t q_stride, kv_stride;
};

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

// Gradients: by sum, and by x where that differs by its dropout (null where not asked for).
// Those by weight and bias are added to.
struct NormGradient {
  const void* normalised;
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

struct TransformerKernels {
  int64_t (*attention_scratch)(int64_t k_rows, int64_t d, bool gradient);  // floats
  void (*attention)(const AttentionHead&);
  void (*attention_backward)(const AttentionHead&, const AttentionGradient&);
  void (*normalise)(const NormRows&);
  void (*normalise_backward)(const NormRows&, const NormGradient&);
  void (*embed)(const EmbeddingRows&);
};

const TransformerKernels& transformer_kernels();  // of this CPU's best instruction set

namespace v3 {
extern const TransformerKernels transformer_kernels;
}
namespace v4 {
extern const TransformerKernels transformer_kernels;
}

}  // namespace sartor::cuda
