// Models with weights derived from parameter names, as in scripts/golden/bert.py.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/isa.h"
#include "models/bert/model.h"
#include "models/transformer/product.h"
#include "support/paths.h"

namespace sartor::bert::testing {

// Seeds the generator, so that tests are reproducible.
class Seeded : public ::testing::Environment {
  void SetUp() override { at::manual_seed(1); }
};
inline const auto* const seeded = ::testing::AddGlobalTestEnvironment(new Seeded);

// bf16 is omitted on CPUs without AVX-512.
inline std::vector<transformer::Precision> precisions() {
  if (cuda::best_isa() == cuda::Isa::v4) {
    return {transformer::Precision::fp32, transformer::Precision::bf16, transformer::Precision::int8};
  }
  return {transformer::Precision::fp32, transformer::Precision::int8};
}

inline at::Tensor wave(const std::string& name, int64_t size, double step) {
  int64_t start = 0;
  for (const char letter : name) start += static_cast<unsigned char>(letter);
  auto values = at::empty({size}, at::kDouble);
  auto* at = values.data_ptr<double>();
  for (int64_t i = 0; i < size; i++)
    at[i] = std::sin(step * static_cast<double>(i) + static_cast<double>(start % 1000));
  return values;
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

inline nlohmann::json golden(const std::string& name) {
  std::ifstream file(sartor::testing::source_path("tests/golden/" + name));
  if (!file) throw std::runtime_error("no golden file " + name);
  return nlohmann::json::parse(file);
}

using Rows = std::vector<std::vector<int32_t>>;

inline at::Tensor tensor(const nlohmann::json& values, at::IntArrayRef shape) {
  return at::tensor(values.get<std::vector<double>>(), at::kDouble).view(shape);
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

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// A small model with rows of random ids.
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

inline Rows random_rows(std::vector<int64_t> lengths, int32_t vocabulary = 61, uint64_t seed = 1) {
  Rows rows;
  for (const auto length : lengths) {
    for (rows.emplace_back(); std::ssize(rows.back()) < length;) {
      seed = seed * 6364136223846793005 + 1442695040888963407;
      rows.back().push_back(static_cast<int32_t>(2 + (seed >> 33) % (vocabulary - 2)));
    }
  }
  return rows;
}

}  // namespace sartor::bert::testing
