// task: pretrain. Trains a BERT on tokenized texts by masked language modeling.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tasks/texts/text_training.h"
#include "tasks/texts/token_masking.h"

namespace sartor {

// Shape of a new model. Names and defaults as in BertConfig of transformers.
struct BertShapeConfig {
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  int64_t max_position_embeddings = 512;

  template <class Fields> void describe(Fields& field) {
    field("hidden_size", hidden_size, between(1, 1 << 16),
          "Width of the hidden states; a multiple of num_attention_heads.");
    field("num_hidden_layers", num_hidden_layers, between(1, 1024), "Number of layers.");
    field("num_attention_heads", num_attention_heads, between(1, 1024), "Number of attention heads per layer.");
    field("intermediate_size", intermediate_size, between(1, 1 << 20), "Width of the feed-forward layers.");
    field("max_position_embeddings", max_position_embeddings, between(1, 1 << 20),
          "Maximum sequence length in tokens.");
  }
  void check() const {
    require(hidden_size % num_attention_heads == 0, "hidden_size {} is not a multiple of num_attention_heads {}",
            hidden_size, num_attention_heads);
  }
};

struct PretrainModelConfig {
  std::optional<std::string> path, tokenizer;
  std::optional<BertShapeConfig> shape;
  std::optional<double> hidden_dropout_prob, attention_probs_dropout_prob;

  template <class Fields> void describe(Fields& field) {
    field("path", path, file_path(),
          "Hugging Face folder of a model to continue training. Exactly one of path and tokenizer is required.");
    field("tokenizer", tokenizer, file_path(),
          "Tokenizer folder for a new model, e.g. one written by task vocabulary.");
    field("shape", shape, "Shape of a new model; BERT-base if absent. Not allowed with path.");
    field("hidden_dropout_prob", hidden_dropout_prob, between(0, 1),
          "Dropout probability of hidden states. If absent: from config.json with path, 0.1 for a new model.");
    field("attention_probs_dropout_prob", attention_probs_dropout_prob, between(0, 1),
          "Dropout probability of attention weights. If absent: from config.json with path, 0.1 for a new model.");
  }
  void check() const {
    require(path.has_value() != tokenizer.has_value(),
            "give either path (a model to continue training) or tokenizer (for a new model)");
    require(!path || !shape, "shape is for a new model and cannot be changed for {}", path.value_or(""));
  }
  const std::string& folder() const { return path ? *path : *tokenizer; }  // the folder with the tokenizer
};

struct PretrainConfig : RuntimeConfig, TextTrainingConfig {
  TokenizedConfig data;
  PretrainModelConfig model;
  double mlm_probability = 0.15, mlm_span = 1;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data, "Training data. Labels and test rows are ignored.");
    field("model", model, "Model to train: a new one or an existing one.");
    field(
        "mlm_probability", mlm_probability, Range{.low = 0, .high = 1, .open = true},
        "Share of each row's tokens to predict, at least one token. Of these, 80% are replaced by the mask token, 10% "
        "by a random token, and 10% are unchanged.");
    field("mlm_span", mlm_span, between(1, TokenMasking::longest_span),
          "Mean number of adjacent tokens that are masked together, drawn from a geometric distribution truncated at "
          "10. 1: single tokens.");
    TextTrainingConfig::describe(field);
  }
  std::vector<std::filesystem::path> reads() const { return {data.path, model.folder()}; }
};

void pretrain(const PretrainConfig& config, const Invocation& invocation);

}  // namespace sartor
