// task: classify — tokenized texts and a Hugging Face folder in, a fine-tuned classifier out.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "models/bert/lora_config.h"
#include "tasks/texts/text_training.h"

namespace sartor {

// What becomes of the output layer that the folder of a classifier has.
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
    field.required("path", path, file_path(),
                   "Hugging Face folder: config.json, model.safetensors, the tokenizer's files.");
    field("head", head,
          "Output layer of a folder that is a classifier already. Its rows are matched with the classes of the data by "
          "name. auto: it is kept if the names are the same, else it starts anew; keep: other names are an error, but "
          "for LABEL_0, LABEL_1, ... which are taken by number; new: it starts anew.");
    field("dropout", dropout, between(0, 1), "Of hidden states and attention, in place of the folder's.");
    field("classifier_dropout", classifier_dropout, between(0, 1), "Before the head, in place of the folder's.");
    field("frozen_layers", frozen_layers, at_least(0), "Lowest layers that are not trained; the embeddings neither.");
    field("freeze_embeddings", freeze_embeddings, "Whether the embeddings are not trained.");
    field("layer_decay", layer_decay, above(0),
          "Each layer learns at this times the rate of the one above it; the head at the full rate.");
    field("label_smoothing_factor", label_smoothing_factor, between(0, 1),
          "Share of a label that all classes get; single_label only.");
    field(
        "r_drop", r_drop, at_least(0),
        "R-Drop: each row is learnt under two draws of dropout at once, and this times what their answers differ by is "
        "added to the loss; 0: one draw. single_label only.");
    field("class_weights", class_weights, "What a row of each class counts; all 1 by default. single_label only.");
    field(
        "lora", lora,
        "Low-rank adapters, trained with the head and the pooler instead of all weights, and merged into the result.");
  }
};

struct ClassifierTrainingConfig : RuntimeConfig, TextTrainingConfig {
  TokenizedConfig data;
  ClassifierModelConfig model;
  int64_t bootstrap_draws = 1000;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data, "What to learn from.");
    field("model", model, "What to fine-tune.");
    TextTrainingConfig::describe(field);
    field("bootstrap_draws", bootstrap_draws, at_least(0),
          "How often the held-out rows are drawn anew for the 95% intervals of evaluation.json; 0: no intervals.");
  }
  std::vector<std::filesystem::path> reads() const { return {data.path, model.path}; }
};

void classify(const ClassifierTrainingConfig& config, const Invocation& invocation);

}  // namespace sartor
