// config.json of BERT and related families, as written by transformers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/hf/json.h"
#include "models/transformer/activation.h"
#include "models/transformer/problem.h"

namespace sartor::bert {

struct Family;  // models/bert/families.h

// Head on top of the encoder. Determines the parameter names.
enum class Head {
  none,            // BertModel: hidden states and pooler
  classification,  // BertForSequenceClassification
  masked_lm        // BertForMaskedLM
};

struct BertConfig {
  std::string model_type = "bert";
  int64_t vocab_size = 30522;
  int64_t hidden_size = 768;
  std::optional<int64_t> embedding_size;  // hidden_size if absent
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  int64_t max_position_embeddings = 512;
  int64_t type_vocab_size = 2;
  transformer::Activation hidden_act = transformer::Activation::gelu;
  std::string hidden_act_name = "gelu";
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  std::optional<double> classifier_dropout;  // hidden_dropout_prob if absent
  double initializer_range = 0.02;
  double layer_norm_eps = 1e-12;
  std::optional<int64_t> pad_token_id = 0;
  bool tie_word_embeddings = true;
  std::vector<std::string> labels = {"LABEL_0", "LABEL_1"};  // from id2label, ordered by id
  std::optional<transformer::Problem> problem;               // problem_type
  std::vector<std::string> architectures;

  // Neutral and unknown fields, which are written back unchanged.
  hf::Json other = hf::Json::object();
  std::vector<std::string> unknown;  // names of the unknown fields, for a warning

  const Family& family() const;  // throws std::invalid_argument if model_type is unknown
  int64_t embedding_width() const { return embedding_size.value_or(hidden_size); }
  int64_t head_size() const { return hidden_size / num_attention_heads; }
  int64_t num_labels() const { return std::ssize(labels); }
  transformer::Problem problem_or_default() const;  // default as in transformers: regression for one label
  // Position id of the first token: padding_idx + 1 for RoBERTa, otherwise 0.
  int64_t first_position() const;
  int64_t longest_sequence() const { return max_position_embeddings - first_position(); }
};

// Parses a config. Every field that affects the computation is either supported or rejected by name: throws
// std::invalid_argument with the source, the field, what was found and what was expected.
BertConfig parse_config(const hf::Json& json, const std::string& source);
BertConfig read_config(const std::filesystem::path& folder);  // FOLDER/config.json

// The config for a model with `head`, to be read by AutoModel, AutoModelForSequenceClassification or
// AutoModelForMaskedLM.
hf::Json to_json(const BertConfig& config, Head head);

// Index in `base`'s output layer of each label of `wanted`, matched by name; std::nullopt if the label sets differ. For
// two regressions of one number it is {0}, whatever the label names.
std::optional<std::vector<int64_t>> output_rows(const BertConfig& base, const BertConfig& wanted);

}  // namespace sartor::bert
