// Models with weights derived from parameter names, as in scripts/golden/bert.py.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <string>
#include <vector>

#include "core/isa.h"
#include "models/bert/model.h"
#include "models/transformer/product.h"
#include "trainer/models/model_support.h"

namespace sartor::bert::testing {

using namespace sartor::testing;

// bf16 is omitted on CPUs without AVX-512.
inline std::vector<transformer::Precision> precisions() {
  if (cuda::best_isa() == cuda::Isa::v4) {
    return {transformer::Precision::fp32, transformer::Precision::bf16, transformer::Precision::int8};
  }
  return {transformer::Precision::fp32, transformer::Precision::int8};
}

inline void set_by_formula(const NamedTensor& parameter, double scale) {
  auto values = wave(parameter.name, parameter.tensor.numel(), 0.7) * scale;
  const bool norm = parameter.name.ends_with("LayerNorm.weight") || parameter.name.ends_with("layer_norm.weight");
  if (norm) values += 1;
  const c10::NoGradGuard no_gradients;
  parameter.tensor.copy_(values.view_as(parameter.tensor));
}

inline Bert made_model(const BertConfig& config, Head head) {
  Bert model(config, head);
  for (const auto& parameter : model.parameters()) set_by_formula(parameter, 0.3);
  return model;
}

// Padded ids and mask (B, L).
struct PaddedBatch {
  at::Tensor ids, mask, types;
};
inline PaddedBatch pad(const Rows& rows, const Rows& types, int64_t padding, int64_t more = 0) {
  int64_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, std::ssize(row));
  const std::vector<int64_t> shape = {std::ssize(rows), longest + more};
  PaddedBatch batch = {at::full(shape, padding, at::kLong), at::zeros(shape, at::kLong), at::zeros(shape, at::kLong)};
  for (size_t b = 0; b < rows.size(); b++) {
    for (size_t i = 0; i < rows[b].size(); i++) {
      batch.ids.data_ptr<int64_t>()[b * shape[1] + i] = rows[b][i];
      batch.mask.data_ptr<int64_t>()[b * shape[1] + i] = 1;
      if (!types.empty()) batch.types.data_ptr<int64_t>()[b * shape[1] + i] = types[b][i];
    }
  }
  return batch;
}

// A small model.
inline BertConfig small_config() {
  BertConfig config;
  config.vocab_size = 61;
  config.hidden_size = 24;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 3;
  config.intermediate_size = 40;
  config.max_position_embeddings = 200;
  return config;
}

}  // namespace sartor::bert::testing
