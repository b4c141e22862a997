// Models with weights derived from parameter names, as in scripts/golden/gpt.py.
#pragma once

#include <c10/core/GradMode.h>

#include <string>
#include <vector>

#include "models/gpt/model.h"
#include "models/hf/json.h"
#include "trainer/models/model_support.h"

namespace sartor::gpt::testing {

using namespace sartor::testing;

inline uint32_t start_of(const std::string& name) {
  uint32_t start = 2166136261;
  for (const char letter : name) start = (start ^ static_cast<unsigned char>(letter)) * 16777619;
  return start;
}

// Number `x` from -1 to 1.
inline double scattered(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6B;
  x = (x ^ (x >> 13)) * 0xC2B2AE35;
  return (x ^ (x >> 16)) / 2147483648.0 - 1;
}

inline bool is_norm(const std::string& name) {
  return name.ends_with("norm.weight") || (name.find(".ln_") != std::string::npos && name.ends_with(".weight"));
}

inline void set_by_formula(const NamedTensor& parameter, double scale = 0.3) {
  const uint32_t start = start_of(parameter.name);
  const double shift = is_norm(parameter.name) ? 1 : 0;
  auto* values = parameter.tensor.data_ptr<float>();
  for (int64_t i = 0; i < parameter.tensor.numel(); i++) {
    values[i] = static_cast<float>(scale * scattered(start + static_cast<uint32_t>(i)) + shift);
  }
}

inline Gpt made_model(const GptConfig& config, double scale = 0.3) {
  Gpt model(config);
  for (const auto& parameter : model.parameters()) set_by_formula(parameter, scale);
  return model;
}

// The config of a small model of a family, without dropout.
inline GptConfig small_config(const std::string& model_type, hf::Json fields = hf::Json::object()) {
  hf::Json json = {{"model_type", model_type}, {"vocab_size", 61}, {"eos_token_id", 2}};
  const hf::Json sizes = {
      {"hidden_size", 24}, {"num_attention_heads", 6}, {"num_key_value_heads", 2},      {"num_hidden_layers", 2},
      {"head_dim", 8},     {"intermediate_size", 40},  {"max_position_embeddings", 200}};
  const hf::Json gpt2 = {{"n_embd", 24},       {"n_head", 3},      {"n_layer", 2},    {"n_inner", 40},
                         {"n_positions", 200}, {"resid_pdrop", 0}, {"embd_pdrop", 0}, {"attn_pdrop", 0}};
  json.update(model_type == "gpt2" ? gpt2 : sizes);
  if (model_type == "mistral") json["sliding_window"] = nullptr;
  json.update(fields);
  return parse_config(json, "config.json");
}

inline const std::vector<std::string> all_families = {"gpt2", "llama", "mistral", "qwen2", "qwen3"};

inline transformer::Packed packed(const GptConfig& config, const Rows& rows) {
  return transformer::pack(input_spec(config), rows);
}

// Mean loss of all tokens but each row's first.
inline at::Tensor mean_loss(const Gpt& model, const Rows& rows) {
  std::vector<int64_t> from, to;
  int64_t next = 0;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); i++, next++) {
      if (i > 0) {
        from.push_back(next - 1);
        to.push_back(row[i]);
      }
    }
  }
  const auto logits = model.logits(packed(model.config(), rows)).index_select(0, at::tensor(from, at::kLong));
  return at::cross_entropy_loss(logits, at::tensor(to, at::kLong));
}

}  // namespace sartor::gpt::testing
