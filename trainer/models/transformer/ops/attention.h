// Attention over packed sequences.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace sartor::transformer {

// How a model computes attention. All give the same numbers to rounding, dropout aside.
enum class AttentionKind {
  packed,  // without padding, on the CPU by our kernel; elsewhere as sdpa
  sdpa,    // libtorch's scaled_dot_product_attention over the padded batch
  eager    // products and softmax one by one: gives the weights, too
};

// Which rows of q, and of k and v, belong to each sequence.
struct AttentionRows {
  std::vector<int64_t> q_offsets, k_offsets;  // (B + 1)
};

// Each query attends to the keys of its sequence, of which there may be another number than queries: keys of tokens
// that were computed before, or one query that is wanted alone.
struct AttentionRequest {
  at::Tensor q;     // (Tq, heads * d)
  at::Tensor k, v;  // (T, key_heads * d); heads are a multiple of key_heads: query head h reads key head
                    // h / (heads / key_heads)
  AttentionRows rows;
  int64_t head_size;            // d
  std::optional<double> scale;  // of the scores, above 0; 1 / sqrt(d) where there is none
  // The last query of a sequence sees all its keys, each one before it a key less. No sequence has more queries than
  // keys then.
  bool causal = false;
  // Weights are dropped with this probability, by a seed that libtorch's default CPU generator gives: who saves that
  // generator's state repeats them.
  double dropout = 0;
  AttentionKind kind = AttentionKind::packed;
};

struct Attended {
  at::Tensor out;      // (Tq, heads * d)
  at::Tensor weights;  // (B, heads, longest q, longest k) before dropout, 0 where there is no token; eager only
};

// out = dropout(softmax(scale q k^T)) v within each sequence. Throws std::invalid_argument on widths that are not whole
// heads, on heads that key heads do not divide, on a scale that is not above 0, and where a causal sequence has more
// queries than keys.
Attended attend(const AttentionRequest& request);

}  // namespace sartor::transformer
