// Attention over packed sequences on the CPU (libtorch supports only padded batches). Compiled once per instruction
// set.
#pragma once

#include <cstdint>

#include "transformer/dropout.h"
#include "transformer/store.h"

namespace sartor::cuda {

// The query heads of one sequence that share a key-value head, adjacent in q and out. Strides are in elements. For each
// head
//
//   out = dropout(softmax(scale q k^T)) v
//
// If causal, query i attends to keys 0 to i + k_rows - q_rows, so that the last query attends to all keys.
struct AttentionHeads {
  const void *q, *k, *v;  // (q_rows, heads * d), (k_rows, d), (k_rows, d)
  int64_t heads = 1;
  int64_t q_stride, kv_stride;
  int64_t q_rows, k_rows, d;
  float scale;          // above 0
  bool causal = false;  // q_rows <= k_rows
  Dropout dropout;      // for the first head; the seed of each further head is greater by head_seed_step
  Store store;
  void* out;  // (q_rows, heads * d)
  int64_t out_stride;
  float* scratch;  // attention_scratch() floats, aligned to 64 bytes
};

// Gradients with respect to q, k and v; overwritten.
struct AttentionGradient {
  const void* out;  // gradient with respect to out
  int64_t out_stride;
  void *q, *k, *v;
  int64_t q_stride, kv_stride;
};

struct AttentionKernels {
  int64_t (*attention_scratch)(int64_t k_rows, int64_t d, bool gradient);  // floats
  void (*attention)(const AttentionHeads&);
  void (*attention_backward)(const AttentionHeads&, const AttentionGradient&);
};

const AttentionKernels& attention_kernels();  // for the best instruction set of this CPU

namespace v3 {
extern const AttentionKernels attention_kernels;
}
namespace v4 {
extern const AttentionKernels attention_kernels;
}

}  // namespace sartor::cuda
