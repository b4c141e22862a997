// Attention over packed sequences.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace sartor::transformer {

// Implementations of attention. Their results are equal up to rounding and dropout.
enum class AttentionKind {
  packed,  // without padding: our kernel on the CPU, libtorch's fused ones on accelerators (varlen_attention.h)
  sdpa,    // libtorch's scaled_dot_product_attention on a padded batch, with index tensors made on the host
  eager    // the same with separate products and softmax; also returns the attention weights
};

// Offsets of each sequence in the rows of q and of k and v.
struct AttentionRows {
  std::vector<int64_t> q_offsets, k_offsets;  // (B + 1)
  // For accelerators: the offsets as int32 on the device, and the lengths of the longest sequences. What is missing is
  // computed and copied from the host's offsets in each call of attend().
  at::Tensor q_offsets_B1, k_offsets_B1;
  int64_t longest_q = 0, longest_k = 0;
};

// Arguments of attend(). Queries attend to the keys of their sequence. The number of keys may differ from the number of
// queries: with a key-value cache, or if only one query is needed.
struct AttentionRequest {
  at::Tensor q;     // (Tq, heads * d)
  at::Tensor k, v;  // (T, key_heads * d); heads are a multiple of key_heads: query head h reads key head
                    // h / (heads / key_heads)
  AttentionRows rows;
  int64_t head_size;            // d
  std::optional<double> scale;  // scale of the scores, above 0; default 1 / sqrt(d)
  // Causal mask: the last query of a sequence attends to all its keys, each earlier query to one key less. Requires at
  // least as many keys as queries per sequence.
  bool causal = false;
  // Dropout probability of the attention weights. On the CPU, the seed is drawn from libtorch's default generator, so
  // that saving its state makes dropout reproducible; accelerators use the default generator of the device.
  double dropout = 0;
  AttentionKind kind = AttentionKind::packed;
};

struct Attended {
  at::Tensor out;      // (Tq, heads * d)
  at::Tensor weights;  // (B, heads, longest q, longest k) before dropout, 0 for padding; eager only
};

// out = dropout(softmax(scale q k^T)) v within each sequence. Throws std::invalid_argument if widths are not multiples
// of the head size, the number of heads is not a multiple of the number of key heads, the scale is not above 0, or a
// causal sequence has more queries than keys.
Attended attend(const AttentionRequest& request);

}  // namespace sartor::transformer
