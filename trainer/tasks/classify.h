// task: classify — tokenized texts and a Hugging Face folder in, a fine-tuned classifier out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/run_config.h"
#include "models/bert/lora_config.h"
#include "optimization/training_config.h"
#include "runtime/program.h"

namespace sartor {

enum class Precision { fp32, bf16 };
constexpr auto choices(Precision) {
  return std::to_array<Choice<Precision>>({{"fp32", Precision::fp32}, {"bf16", Precision::bf16}});
}

struct TokenizedConfig {
  std::string path;

  template <class Fields> void describe(Fields& field) {
    field.required("path", path, "Tokenized HDF5 file (task: tokenize).");
  }
};

struct ClassifierModelConfig {
  std::string path;
  std::optional<double> dropout, classifier_dropout;
  int64_t frozen_layers = 0;
  bool freeze_embeddings = false;
  double layer_decay = 1;
  double label_smoothing_factor = 0;
  std::vector<double> class_weights;
  std::optional<bert::LoraConfig> lora;

  template <class Fields> void describe(Fields& field) {
    field.required("path", path, "Hugging Face folder: config.json, model.safetensors, the tokenizer's files.");
    field("dropout", dropout, between(0, 1), "Of hidden states and attention, in place of the folder's.");
    field("classifier_dropout", classifier_dropout, between(0, 1), "Before the head, in place of the folder's.");
    field("frozen_layers", frozen_layers, at_least(0), "Lowest layers that are not trained; the embeddings neither.");
    field("freeze_embeddings", freeze_embeddings, "Whether the embeddings are not trained.");
    field("layer_decay", layer_decay, above(0),
          "Each layer learns at this times the rate of the one above it; the head at the full rate.");
    field("label_smoothing_factor", label_smoothing_factor, between(0, 1),
          "Share of a label that all classes get; single_label only.");
    field("class_weights", class_weights, "What a row of each class counts; all 1 by default. single_label only.");
    field(
        "lora", lora,
        "Low-rank adapters, trained with the head and the pooler instead of all weights, and merged into the result.");
  }
};

struct ClassifyConfig : RuntimeConfig {
  TokenizedConfig data;
  ClassifierModelConfig model;
  Precision precision = Precision::fp32;
  TrainingConfig training;
  int64_t per_device_eval_tokens = 8192;
  int64_t bootstrap_draws = 1000;
  std::string output;
  StepCheckpointConfig checkpoint;
  int64_t ddp_timeout = 1800;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data, "What to learn from.");
    field("model", model, "What to fine-tune.");
    field("precision", precision, "Of activations and products; weights, gradients and losses stay fp32.");
    field("training", training, "How.");
    field("per_device_eval_tokens", per_device_eval_tokens, at_least(1), "Tokens of a batch when the model is judged.");
    field("bootstrap_draws", bootstrap_draws, at_least(0),
          "How often the held-out rows are drawn anew for the 95% intervals of evaluation.json; 0: no intervals.");
    field.required("output", output,
                   "Folder of the run; it must not exist yet, unless --resume or --overwrite is given.");
    field("checkpoint", checkpoint, "What --resume continues from.");
    field("ddp_timeout", ddp_timeout, at_least(1), "Seconds that ranks wait for each other.");
  }
  std::vector<std::filesystem::path> reads() const { return {data.path, model.path}; }
  std::vector<std::filesystem::path> writes() const { return {output}; }
};

void classify(const ClassifyConfig& config, const Invocation& invocation);

}  // namespace sartor
