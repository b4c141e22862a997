// Tables of rotary position embeddings.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/gpt/config.h"
#include "models/transformer/batch.h"
#include "models/transformer/ops/rotary.h"

namespace sartor::gpt {

// Inverse frequencies (head_dim / 2) of fp32, equal to those of transformers. `length` is the length of the sequence,
// on which only RotaryType::dynamic depends.
at::Tensor inverse_frequencies(const GptConfig& config, int64_t length = 0, at::Device device = at::kCPU);
// Factor of the cosines and sines. 1 except for yarn.
double attention_factor(const RotaryConfig& rotary);

class Rotary {
 public:
  explicit Rotary(const GptConfig& config, at::Device device);

  // Cosines and sines for the positions of a batch. With dynamic scaling, a sequence longer than
  // max_position_embeddings has frequencies by its own length. transformers gives the same numbers for a batch of this
  // sequence alone; in a larger batch it takes the length of the longest sequence for all. Does not read tensors back.
  transformer::TokenAngles angles(const transformer::Packed& batch) const;

 private:
  // Cosines and sines (P, head_dim / 2) of fp32, and the row of each token, int64.
  struct Table {
    at::Tensor cos, sin, rows_T;
  };
  Table table(const transformer::Packed& batch) const;
  Table rows(const at::Tensor& positions, const at::Tensor& frequencies) const;

  GptConfig config_;
  at::Tensor frequencies_;
  double factor_;
};

// Cosines and sines for decoding: rows of positions 0, 1, ..., computed as they are needed. A row depends only on its
// position. With dynamic scaling, a position p from max_position_embeddings on has the frequencies of a sequence of
// p + 1 tokens, and keys in the cache keep their rotation, as transformers does for generated tokens; transformers
// rotates all tokens of a longer prompt by the length of the prompt instead, which would depend on its division into
// chunks.
class DecodingRotary {
 public:
  explicit DecodingRotary(const GptConfig& config, at::Device device = at::kCPU);

  // Makes at least `positions` rows available.
  void extend(int64_t positions);
  // (P, head_dim / 2) of fp32, contiguous
  const at::Tensor& cos() const { return cos_; }
  const at::Tensor& sin() const { return sin_; }

 private:
  at::Tensor frequencies(int64_t first) const;

  GptConfig config_;
  at::Tensor frequencies_, cos_, sin_;
  double factor_;
};

}  // namespace sartor::gpt
