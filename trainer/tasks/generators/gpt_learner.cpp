#include "tasks/generators/gpt_learner.h"

#include <ATen/Context.h>

#include <algorithm>
#include <utility>

#include "base/require.h"
#include "models/gpt/families.h"
#include "models/gpt/flops.h"
#include "models/gpt/folder.h"
#include "schema/log.h"
#include "storage/atomic_file.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;

void set_dropout(const GeneratorModelConfig& chosen, gpt::GptConfig& model) {
  require(!chosen.dropout || !model.family().field("hidden_dropout").empty(),
          "model.dropout is set, {} has no dropout of hidden states", model.model_type);
  if (chosen.dropout) model.embedding_dropout = model.hidden_dropout = *chosen.dropout;
  if (chosen.attention_dropout) model.attention_dropout = *chosen.attention_dropout;
}

void check_lengths(const datasets::TokenizedTexts& data, const std::string& path, const gpt::GptConfig& model) {
  int32_t longest = 0;
  for (const auto* part : {&data.train, &data.validation, &data.test}) {
    for (const auto length : part->lengths()) longest = std::max(longest, length);
  }
  require(longest <= model.longest_sequence(), "{} has rows of up to {} tokens, the model takes {}", path, longest,
          model.longest_sequence());
}

// Texts of the data end with `token`, at which the model is to stop.
void add_end(gpt::GptConfig& model, int64_t token) {
  auto ends = model.end_tokens();
  if (std::ranges::find(ends, token) != ends.end()) return;
  ends.push_back(token);
  if (model.generation.is_object()) model.generation["eos_token_id"] = ends;
  model.eos_token_ids = std::move(ends);
}

// speaks: whether this process logs what is ignored.
gpt::Gpt make_model(const FinetuneConfig& config, const datasets::TokenizedTexts& data,
                    const text::TokenizerSpec& tokenizer, bool speaks, at::Device device) {
  const auto& chosen = config.model;
  auto model = chosen.path ? gpt::read_config(*chosen.path)
                           : new_config(chosen.shape.value_or(GptShapeConfig()), vocabulary_size(tokenizer), data.end);
  check_lengths(data, config.data.path, model);
  set_dropout(chosen, model);
  if (data.end) add_end(model, *data.end);
  const auto layers = model.num_hidden_layers;
  require(chosen.frozen_layers <= layers, "model.frozen_layers is {}, the model has {} layers", chosen.frozen_layers,
          layers);
  require(!chosen.lora || chosen.frozen_layers < layers,
          "model.frozen_layers is {}: no layer is left for the adapters of model.lora", chosen.frozen_layers);
  at::manual_seed(static_cast<uint64_t>(config.training.seed));  // for new weights and adapters
  if (!chosen.path) return gpt::Gpt(std::move(model), device);
  if (speaks) {
    for (const auto& line : gpt::ignored(*chosen.path)) log_info("{}", line);
  }
  auto loaded = gpt::load_gpt(*chosen.path, std::move(model), device);
  if (chosen.lora) loaded.add_adapters(*chosen.lora, chosen.frozen_layers);
  return loaded;
}

// Files that describe the special tokens and the chat format.
std::vector<std::pair<std::string, std::string>> files_to_keep(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const char* name : {"tokenizer_config.json", "chat_template.jinja"}) {
    if (fs::exists(folder / name)) files.emplace_back(name, datasets::read_file(folder / name));
  }
  return files;
}

}  // namespace

GptLearner::GptLearner(const FinetuneConfig& config, const datasets::TokenizedTexts& data, ProcessGroup& ranks,
                       Transfer transfer)
    : config_(config),
      data_(data),
      ranks_(ranks),
      transfer_(std::move(transfer)),
      tokenizer_(tokenizer_of(config.model.folder(), data, config.data.path)),
      model_(make_model(config, data, tokenizer_, ranks.first(), transfer_.device())),
      kept_files_(files_to_keep(config.model.folder())) {
  model_.checkpoint_gradients(config.training.gradient_checkpointing);
  model_.compute_in(compute_type());
}

std::vector<TrainedParameter> GptLearner::parameters() {
  const auto& chosen = config_.model;
  std::vector<TrainedParameter> trained;
  const auto train = [&](const std::string& name, const at::Tensor& tensor) {
    trained.push_back({.name = name, .tensor = tensor, .decays = model_.registry().decays(name)});
  };
  for (const auto& [name, tensor] : model_.parameters()) {
    const auto depth = gpt::depth_of(name, model_.config());
    const bool below =
        depth == 0 ? chosen.freeze_embeddings || chosen.frozen_layers > 0 : depth <= chosen.frozen_layers;
    const bool frozen = chosen.lora || below;
    at::Tensor(tensor).set_requires_grad(!frozen);
    if (!frozen) train(name, tensor);
  }
  for (const auto& [name, tensor] : model_.adapters()) train(name, tensor);
  return trained;
}

double GptLearner::flops_of(std::span<const int64_t> texts) const {
  std::vector<int32_t> lengths;
  gpt::TrainedWork work = {.frozen_layers = config_.model.frozen_layers,
                           .weights_trained = !config_.model.lora.has_value()};
  for (const auto text : texts) {
    lengths.push_back(data_.train.lengths()[text]);
    work.predicted += counted_tokens(data_.train, text);
  }
  return gpt::training_flops(model_.config(), lengths, work);
}

void GptLearner::write_model(const fs::path& folder) const {
  gpt::save_gpt(model_, folder);
  save_input(tokenizer_, data_, model_.config().longest_sequence(), "", folder);
  for (const auto& [name, contents] : kept_files_) datasets::write_file(folder / name, contents);
}

void GptLearner::save(const fs::path& folder) const {
  const auto& chosen = config_.model;
  if (!chosen.lora) return write_model(folder);
  gpt::save_adapters(model_, *chosen.lora, chosen.frozen_layers, *chosen.path, folder);
}

void GptLearner::load(const fs::path& folder) {
  if (config_.model.lora) return gpt::load_adapters(model_, folder);
  gpt::load_weights(model_, folder);
}

}  // namespace sartor
