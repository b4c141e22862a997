// task: classify. Fine-tunes the model of a Hugging Face folder as a classifier of tokenized texts.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "models/bert/lora_config.h"
#include "tasks/texts/text_training.h"

namespace sartor {

// How to use the output layer of a folder that already contains a classifier.
enum class BaseHead { automatic, keep, anew };
constexpr auto choices(BaseHead) {
  return std::to_array<Choice<BaseHead>>(
      {{"auto", BaseHead::automatic}, {"keep", BaseHead::keep}, {"new", BaseHead::anew}});
}

struct ClassifierModelConfig {
  std::string path;
  BaseHead head = BaseHead::automatic;
  std::optional<double> dropout, classifier_dropout;
  int64_t frozen_layers = 0;
  bool freeze_embeddings = false;
  double layer_decay = 1;
  double label_smoothing_factor = 0, r_drop = 0;
  std::vector<double> class_weights;
  std::optional<bert::LoraConfig> lora;

  template <class Fields> void describe(Fields& field) {
    field.required(
        "path", path, file_path(),
        "Hugging Face folder of the model to fine-tune: config.json, model.safetensors and tokenizer files.");
    field("head", head,
          "Whether to keep the output layer of a folder that already contains a classifier. Class names are matched "
          "with those of the data. auto: keep it if the names are the same, otherwise initialize a new one; keep: "
          "different names are an error, except LABEL_0, LABEL_1, ..., which are matched by index; new: always "
          "initialize a new one.");
    field("dropout", dropout, between(0, 1),
          "Dropout probability of hidden states and attention weights; from config.json if absent.");
    field("classifier_dropout", classifier_dropout, between(0, 1),
          "Dropout probability before the output layer; from config.json if absent.");
    field("frozen_layers", frozen_layers, at_least(0),
          "Number of layers to freeze, from the lowest. If above 0, the embeddings are frozen, too.");
    field("freeze_embeddings", freeze_embeddings, "Whether to freeze the embeddings.");
    field("layer_decay", layer_decay, above(0),
          "Layer-wise learning rate decay: ratio of a layer's learning rate to that of the layer above it. The head "
          "has the full rate.");
    field("label_smoothing_factor", label_smoothing_factor, between(0, 1),
          "Label smoothing: share of each target that is spread evenly over all classes. single_label only.");
    field("r_drop", r_drop, at_least(0),
          "Weight of the R-Drop loss: each row is processed with two dropout masks, and the divergence of the two "
          "predictions is added to the loss. 0: off. single_label only.");
    field("class_weights", class_weights,
          "Weight of each class in the loss, in the order of the classes; all 1 if empty. single_label only.");
    field("lora", lora,
          "Train low-rank adapters, the pooler and the head instead of all weights. The adapters are merged into the "
          "saved model.");
  }
};

struct ClassifierTrainingConfig : RuntimeConfig, TextTrainingConfig {
  TokenizedConfig data;
  ClassifierModelConfig model;
  int64_t bootstrap_draws = 1000;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data, "Training data.");
    field("model", model, "Model to fine-tune.");
    TextTrainingConfig::describe(field);
    field("bootstrap_draws", bootstrap_draws, at_least(0),
          "Number of bootstrap samples for the 95% confidence intervals in evaluation.json. 0: no intervals.");
  }
  std::vector<std::filesystem::path> reads() const { return {data.path, model.path}; }
};

void classify(const ClassifierTrainingConfig& config, const Invocation& invocation);

}  // namespace sartor
