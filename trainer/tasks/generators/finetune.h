// task: finetune. Trains a generator (GPT-2 or a model of the Llama family) on tokenized texts: plain texts, prompts
// with completions, or preferences.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/gpt/lora_config.h"
#include "tasks/generators/gpt_shape.h"
#include "tasks/texts/text_training.h"

namespace sartor {

enum class Objective { automatic, nll, dpo, ipo };
constexpr auto choices(Objective) {
  return std::to_array<Choice<Objective>>(
      {{"auto", Objective::automatic}, {"nll", Objective::nll}, {"dpo", Objective::dpo}, {"ipo", Objective::ipo}});
}

struct GeneratorModelConfig {
  std::optional<std::string> path, tokenizer;
  std::optional<GptShapeConfig> shape;
  std::optional<double> dropout, attention_dropout;
  int64_t frozen_layers = 0;
  bool freeze_embeddings = false;
  std::optional<gpt::LoraConfig> lora;

  template <class Fields> void describe(Fields& field) {
    field("path", path, file_path(),
          "Hugging Face folder of the model to train. Exactly one of path and tokenizer is required.");
    field("tokenizer", tokenizer, file_path(), "Tokenizer folder for a new model.");
    field("shape", shape, "Shape of a new model; GPT-2's smallest one if absent. Not allowed with path.");
    field(
        "dropout", dropout, between(0, 0.999),
        "Dropout probability of embeddings and hidden states. gpt2 only. Default: from config.json with path, 0.1 for "
        "a new model.");
    field(
        "attention_dropout", attention_dropout, between(0, 0.999),
        "Dropout probability of attention weights. Default: from config.json with path; for a new model 0.1 (gpt2) or "
        "0 (others).");
    field("frozen_layers", frozen_layers, at_least(0),
          "Number of layers to freeze, from the lowest. If above 0, the embeddings are frozen, too.");
    field("freeze_embeddings", freeze_embeddings,
          "Whether to freeze the embeddings, and with them a tied output layer.");
    field("lora", lora,
          "Train low-rank adapters instead of all weights. The adapters are merged into the saved model.");
  }
  void check() const {
    require(path.has_value() != tokenizer.has_value(),
            "give either path (a model to train) or tokenizer (for a new model)");
    require(!path || !shape, "shape is for a new model and cannot be changed for {}", path.value_or(""));
    require(path || !lora, "lora requires path: the weights of a new model would never be trained");
    require(path || (frozen_layers == 0 && !freeze_embeddings),
            "frozen_layers and freeze_embeddings require path: the weights of a new model would never be trained");
  }
  const std::string& folder() const { return path ? *path : *tokenizer; }  // the folder with the tokenizer
};

struct FinetuneConfig : RuntimeConfig, TextTrainingConfig {
  TokenizedConfig data;
  GeneratorModelConfig model;
  Objective objective = Objective::automatic;
  double beta = 0.1, label_smoothing = 0;
  std::optional<std::string> reference;
  bool packing = false;
  std::optional<int64_t> pack_length;

  template <class Fields> void describe(Fields& field) {
    RuntimeConfig::describe(field);
    field("data", data,
          "Training data, tokenized with a section `generation`. Prompts are not predicted; the losses of texts and "
          "completions are multiplied by the weights of their rows.");
    field("model", model, "Model to train: a new one or an existing one.");
    field("objective", objective,
          "nll: negative log-likelihood of texts or completions, averaged over the tokens of a step. dpo, ipo: direct "
          "preference optimization, averaged over pairs, without dropout, with the loss that TRL calls sigmoid or ipo. "
          "auto: dpo for preferences, otherwise nll.");
    field("beta", beta, above(0), "dpo, ipo: strength of the pull towards the reference model.");
    field("label_smoothing", label_smoothing, between(0, 0.5),
          "dpo: assumed share of pairs whose texts are in the wrong order.");
    field("reference", reference, file_path(),
          "dpo, ipo: Hugging Face folder of the reference model. Default: the model before training.");
    field("packing", packing,
          "nll: pack several texts into each row, by best fit decreasing. Texts keep their own positions and do not "
          "attend to each other. per_device_batch_size then counts packs.");
    field("pack_length", pack_length, at_least(1),
          "Maximum number of tokens of a pack; max_length of the data if absent.");
    TextTrainingConfig::describe(field);
  }
  void check() const {
    require(!pack_length || packing, "pack_length is set, but packing is false");
    require(label_smoothing == 0 || objective != Objective::ipo, "label_smoothing is for objective dpo");
  }
  std::vector<std::filesystem::path> reads() const {
    std::vector<std::filesystem::path> paths = {data.path, model.folder()};
    if (reference) paths.emplace_back(*reference);
    return paths;
  }
};

void finetune(const FinetuneConfig& config, const Invocation& invocation);

}  // namespace sartor
