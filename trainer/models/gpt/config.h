// config.json of GPT-2 and of the Llama family, as written by transformers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/gpt/rotary_config.h"
#include "models/hf/json.h"
#include "models/transformer/activation.h"

namespace sartor::gpt {

struct Family;  // models/gpt/families.h

// The defaults are those of GPT-2.
struct GptConfig {
  std::string model_type = "gpt2";
  int64_t vocab_size = 50257;
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t num_key_value_heads = 12;
  int64_t head_dim = 64;  // size of a head; hidden_size / num_attention_heads unless the config says otherwise
  int64_t intermediate_size = 3072;
  int64_t max_position_embeddings = 1024;
  transformer::Activation hidden_act = transformer::Activation::gelu_tanh;
  std::string hidden_act_name = "gelu_new";
  double norm_eps = 1e-5;
  double initializer_range = 0.02;
  double embedding_dropout = 0.1, hidden_dropout = 0.1, attention_dropout = 0.1;
  bool query_key_value_bias = true, attention_output_bias = true, mlp_bias = true;
  bool scale_attention = true;            // by 1 / sqrt(head_dim)
  bool scale_attention_by_layer = false;  // also by 1 / (layer + 1)
  bool tie_word_embeddings = true;        // the output layer is the token embeddings
  RotaryConfig rotary;                    // unused if positions are learned
  std::optional<int64_t> bos_token_id, pad_token_id;
  std::vector<int64_t> eos_token_ids;  // of config.json

  // generation_config.json of the folder, which is written back unchanged; null if there is none.
  hf::Json generation;
  // Neutral and unknown fields, which are written back unchanged.
  hf::Json other = hf::Json::object();
  std::vector<std::string> unknown;  // names of the unknown fields, for a warning

  const Family& family() const;  // throws std::invalid_argument if model_type is unknown
  int64_t query_size() const { return num_attention_heads * head_dim; }
  int64_t key_value_size() const { return num_key_value_heads * head_dim; }
  int64_t longest_sequence() const;
  double attention_scale(int64_t layer) const;  // factor of the attention scores
  // Tokens that end a text: those of generation_config.json, otherwise of config.json.
  std::vector<int64_t> end_tokens() const;
};

// Parses a config. Every field that affects the computation is either supported or rejected by name: throws
// std::invalid_argument with the source, the field, what was found and what was expected.
GptConfig parse_config(const hf::Json& json, const std::string& source);
// FOLDER/config.json, and generation_config.json if there is one.
GptConfig read_config(const std::filesystem::path& folder);

// The config, to be read by AutoModelForCausalLM.
hf::Json to_json(const GptConfig& config);

}  // namespace sartor::gpt
