// Attention over packed sequences on the CPU, which libtorch has for padded batches alone. Built once an instruction
// set.
#pragma once

#include <cstdint>

#include "transformer/dropout.h"
#include "transformer/store.h"

namespace sartor::cuda {

// The query heads of one sequence that share a key-value head, side by side in q and out. Rows lie `stride` elements
// apart. For each head
//
//   out = dropout(softmax(scale q k^T)) v
//
// where causal attention hides keys from all queries but the last, which sees all: query i sees the keys
// 0 .. i + k_rows - q_rows.
struct AttentionHeads {
  const void *q, *k, *v;  // (q_rows, heads * d), (k_rows, d), (k_rows, d)
  int64_t heads = 1;
  int64_t q_stride, kv_stride;
  int64_t q_rows, k_rows, d;
  float scale;          // above 0
  bool causal = false;  // q_rows <= k_rows
  Dropout dropout;      // of the first head; the others' seeds follow by head_seed_step
  Store store;
  void* out;  // (q_rows, heads * d)
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

struct AttentionKernels {
  int64_t (*attention_scratch)(int64_t k_rows, int64_t d, bool gradient);  // floats
  void (*attention)(const AttentionHeads&);
  void (*attention_backward)(const AttentionHeads&, const AttentionGradient&);
};

const AttentionKernels& attention_kernels();  // of this CPU's best instruction set

namespace v3 {
extern const AttentionKernels attention_kernels;
}
namespace v4 {
extern const AttentionKernels attention_kernels;
}

}  // namespace sartor::cuda
