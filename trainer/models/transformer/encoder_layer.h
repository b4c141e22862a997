// An encoder layer with post-norm (Vaswani et al. 2017, 3.1) over packed rows x (T, H):
//
//   a = norm(dropout(attention_output(attention(query(x), key(x), value(x)))) + x)
//   y = norm(dropout(output(activation(intermediate(a)))) + a)
//
// Shared by training and inference, which use different linear layers.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>

#include <numeric>
#include <utility>

#include "models/transformer/batch.h"
#include "models/transformer/linear.h"
#include "models/transformer/ops.h"

namespace sartor::transformer {

struct QueryKeyValue {
  at::Tensor query, key, value;
};

struct EncoderLayerOptions {
  int64_t heads = 1;
  double norm_eps = 1e-12;
  double hidden_dropout = 0, attention_dropout = 0;
  AttentionKind attention = AttentionKind::packed;
  bool first_only = false;  // compute the result only for the first token of each sequence, (B, H)
};

struct EncoderLayerResult {
  at::Tensor hidden;             // (T, H) or (B, H)
  at::Tensor attention_weights;  // as Attended::weights
};

// Self-attention within the sequences of a batch.
inline AttentionRows attention_rows(const Packed& batch) {
  return {.q_offsets = batch.offsets,
          .k_offsets = batch.offsets,
          .q_offsets_B1 = batch.offsets_B1,
          .k_offsets_B1 = batch.offsets_B1,
          .longest_q = batch.longest,
          .longest_k = batch.longest};
}

// A Layer provides, for x (T, H) and the rows `queries` of x for which the result is computed:
//
//   QueryKeyValue query_key_value(queries, x)
//   at::Tensor attention_output(x)
//   at::Tensor feed_forward(x)               output(activation(intermediate(x)))
//   const Norm& attention_norm(), norm()
template <class Layer> EncoderLayerResult encoder_layer(const Layer& layer, const at::Tensor& x, const Packed& batch,
                                                        const EncoderLayerOptions& options) {
  AttentionRows rows = attention_rows(batch);
  at::Tensor queries = x;
  if (options.first_only) {
    queries = first_tokens(x, batch);
    std::iota(rows.q_offsets.begin(), rows.q_offsets.end(), 0);
    if (!x.is_cpu()) rows.q_offsets_B1 = at::arange(batch.batch() + 1, batch.offsets_B1.options());
    rows.longest_q = 1;
  }
  const auto add_norm = [&](const at::Tensor& sublayer, const at::Tensor& residual, const Norm& norm) {
    return transformer::add_norm(sublayer, residual, norm.weight, norm.bias, options.norm_eps, options.hidden_dropout);
  };
  const auto [query, key, value] = layer.query_key_value(queries, x);
  const auto attended = attend({.q = query,
                                .k = key,
                                .v = value,
                                .rows = std::move(rows),
                                .head_size = query.size(1) / options.heads,
                                .dropout = options.attention_dropout,
                                .kind = options.attention});
  const auto sum = add_norm(layer.attention_output(attended.out), queries, layer.attention_norm());
  return {add_norm(layer.feed_forward(sum), sum, layer.norm()), attended.weights};
}

}  // namespace sartor::transformer
