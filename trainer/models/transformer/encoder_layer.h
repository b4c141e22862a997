// An encoder layer with post-norm (Vaswani et al. 2017, 3.1) over packed rows x (T, H):
//
//   a = norm(dropout(attention_output(attention(query(x), key(x), value(x)))) + x)
//   y = norm(dropout(output(activation(intermediate(a)))) + a)
//
// Shared by training and inference, which use different linear layers.
#pragma once

#include <ATen/core/Tensor.h>

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

// A Layer provides, for x (T, H) and the rows `queries` of x for which the result is computed:
//
//   QueryKeyValue query_key_value(queries, x)
//   at::Tensor attention_output(x)
//   at::Tensor feed_forward(x)               output(activation(intermediate(x)))
//   const Norm& attention_norm(), norm()
template <class Layer> EncoderLayerResult encoder_layer(const Layer& layer, const at::Tensor& x, const Packed& batch,
                                                        const EncoderLayerOptions& options) {
  AttentionRows rows = {batch.offsets, batch.offsets};
  at::Tensor queries = x;
  if (options.first_only) {
    queries = first_tokens(x, batch);
    std::iota(rows.q_offsets.begin(), rows.q_offsets.end(), 0);
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
