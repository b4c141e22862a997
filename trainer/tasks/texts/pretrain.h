// task: pretrain — tokenized texts in, a BERT out that knows their language: masked language modelling.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tasks/texts/text_training.h"
#include "tasks/texts/token_masking.h"

namespace sartor {

// A new model's shape, with names and defaults of transformers' BertConfig.
struct BertShapeConfig {
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  int64_t max_position_embeddings = 512;

  template <class Fields> void describe(Fields& field) {
    field("hidden_size", hidden_size, between(1, 1 << 16), "Of hidden states; a multiple of num_attention_heads.");
    field("num_hidden_layers", num_hidden_layers, between(1, 1024), "Layers.");
    field("num_attention_heads", num_attention_heads, between(1, 1024), "Attention heads of a layer.");
    field("intermediate_size", intermediate_size, between(1, 1 << 20), "Of the layers' feed-forward part.");
    field("max_position_embeddings", max_position_embeddings, between(1, 1 << 20), "Tokens that the model takes.");
  }
  void check() const {
    require(hidden_size % num_attention_heads == 0, "hidden_size {} is no multiple of num_attention_heads {}",
            hidden_size, num_attention_heads);
  }
};

struct PretrainModelConfig {
  std::optional<std::string> path, tokenizer;
  std::optional<BertShapeConfig> shape;
  std::optional<double> hidden_dropout_prob, attention_probs_dropout_prob;

  template <class Fields> void describe(Fields& field) {
    field("path", path, file_path(), "Hugging Face folder to go on from; or else:");
    field("tokenizer", tokenizer, file_path(),
          "Folder whose tokenizer a new model gets, made by task: vocabulary for one.");
    field("shape", shape, "Of a new model.");
    field("hidden_dropout_prob", hidden_dropout_prob, between(0, 1),
          "Of hidden states, in place of the folder's; 0.1 of a new model.");
    field("attention_probs_dropout_prob", attention_probs_dropout_prob, between(0, 1),
          "Of attention, in place of the folder's; 0.1 of a new model.");
  }
  void check() const {
    require(path.has_value() != tokenizer.has_value(),
            "give either path, to go on from, or tokenizer, for a new model");
    require(!path || !shape, "shape is for a new model; that of {} stays", path.value_or(""));
  }
  const std::string& folder() const { return path ? *path : *tokenizer; }  // with the tokenizer
};

struct PretrainConfig : RuntimeConfig, TextTrainingConfig {
  TokenizedConfig data;
  PretrainModelConfig model;
  double mlm_probability = 0.15, mlm_span = 1;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data, "What to learn from: its training rows. Labels, if there are any, and test rows are not used.");
    field("model", model, "What to train.");
    field(
        "mlm_probability", mlm_probability, Range{.low = 0, .high = 1, .open = true},
        "Share of a row's tokens that are predicted, at least one: 80% of them hidden, 10% replaced, 10% as they are.");
    field("mlm_span", mlm_span, between(1, TokenMasking::longest_span),
          "Tokens that are predicted together, on average: neighbours, whose number is drawn and cut at 10.");
    TextTrainingConfig::describe(field);
  }
  std::vector<std::filesystem::path> reads() const { return {data.path, model.folder()}; }
};

void pretrain(const PretrainConfig& config, const Invocation& invocation);

}  // namespace sartor
