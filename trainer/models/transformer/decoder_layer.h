// A decoder layer with pre-norm (Radford et al. 2019, 2.3) over packed rows x (T, H):
//
//   a = dropout(attention_output(attention(query_key_value(norm(x))))) + x
//   y = dropout(feed_forward(norm(a))) + a
//
// with causal attention within each sequence. Training and inference use different linear layers, and inference
// composes the parts of a layer itself, with a cache of keys and values between them.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <optional>

#include "models/transformer/batch.h"
#include "models/transformer/encoder_layer.h"
#include "models/transformer/ops.h"

namespace sartor::transformer {

struct DecoderLayerOptions {
  int64_t head_size = 1;
  std::optional<double> scale;  // of the attention scores; default 1 / sqrt(head_size)
  double hidden_dropout = 0, attention_dropout = 0;
  AttentionKind attention = AttentionKind::packed;
};

// A Layer provides, for x (T, H):
//
//   at::Tensor attention_norm(x)
//   QueryKeyValue query_key_value(x)                       rotated, if positions are rotary
//   at::Tensor attention_output(x)
//   SumAndNorm add_and_norm(sublayer, residual, dropout)   with the norm of the feed-forward layer
//   at::Tensor feed_forward(x)
template <class Layer> at::Tensor decoder_layer(const Layer& layer, const at::Tensor& x, const Packed& batch,
                                                const DecoderLayerOptions& options) {
  const auto [query, key, value] = layer.query_key_value(layer.attention_norm(x));
  const auto attended = attend({.q = query,
                                .k = key,
                                .v = value,
                                .rows = attention_rows(batch),
                                .head_size = options.head_size,
                                .scale = options.scale,
                                .causal = true,
                                .dropout = options.attention_dropout,
                                .kind = options.attention});
  const auto [sum, normalised] = layer.add_and_norm(layer.attention_output(attended.out), x, options.hidden_dropout);
  return dropout(layer.feed_forward(normalised), options.hidden_dropout) + sum;
}

}  // namespace sartor::transformer
