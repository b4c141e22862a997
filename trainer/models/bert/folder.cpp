#include "models/bert/folder.h"

#include <ATen/ops/tensor.h>

#include <numeric>
#include <utility>

#include "base/require.h"
#include "models/bert/parameters.h"
#include "storage/atomic_file.h"

namespace sartor::bert {
namespace {

namespace fs = std::filesystem;

// Redundant tensors: tied ones, and buffers saved by old versions.
bool is_redundant(std::string_view name, const BertConfig& config) {
  const std::string decoder(config.family().masked_lm.decoder);
  const bool tied = config.tie_word_embeddings && (name == decoder + ".weight" || name == decoder + ".bias");
  return tied || name.ends_with("embeddings.position_ids");
}

bool in_output_layer(std::string_view name, const BertConfig& config) {
  const std::string layer(config.family().classifier.output);
  return name == layer + ".weight" || name == layer + ".bias";
}

// Tensors that are trained if the model has adapters.
NamedTensors adapters_and_head(const Bert& model) {
  auto trained = model.adapters();
  for (const auto& parameter : model.parameters()) {
    if (!in_encoder(parameter.name, model.config().family())) trained.push_back(parameter);
  }
  return trained;
}

}  // namespace

hf::Matched match(const hf::Weights& weights, const BertConfig& config, Head head, const OutputLayer& output) {
  const Family& family = config.family();
  hf::MatchRules rules = {
      .canonical = [&](std::string_view name) { return canonical_name(name, config, head); },
      .is_redundant = [&](std::string_view name) { return is_redundant(name, config); },
      .may_be_missing = [&](std::string_view name) { return !in_encoder(name, family); },
      .is_drawn_anew = [&](std::string_view name) { return output.anew && in_output_layer(name, config); }};
  // The bias of an untied decoder is the bias of the head.
  const auto& lm = family.masked_lm;
  if (!config.tie_word_embeddings) rules.aliases.emplace(std::string(lm.decoder) + ".bias", lm.bias);
  return hf::match(weights, parameters(config, head), rules);
}

std::vector<std::string> ignored(const fs::path& folder, Head head) {
  const auto config = read_config(folder);
  return hf::ignored_lines(folder, config.unknown, match(hf::Weights(folder), config, head).unexpected);
}

Loaded load_bert(const fs::path& folder, Head head, at::Device device) {
  return load_bert(folder, read_config(folder), head, device);
}

Loaded load_bert(const fs::path& folder, BertConfig config, Head head, at::Device device, const OutputLayer& output) {
  const hf::Weights weights(folder);
  auto matched = match(weights, config, head, output);
  Bert model(std::move(config), head, device);
  take_values(model.registry(), matched, [&](const std::string& name, at::Tensor values) {
    if (output.rows.empty() || !in_output_layer(name, model.config())) return values;
    return values.index_select(0, at::tensor(output.rows, at::kLong));
  });
  return {std::move(model), std::move(matched.missing), std::move(matched.unexpected)};
}

void load_weights(Bert& model, const fs::path& folder) {
  const hf::Weights weights(folder);
  const auto matched = match(weights, model.config(), model.head());
  for (const auto& name : matched.missing) require(false, "{}: has no tensor {}", folder.string(), name);
  take_values(model.registry(), matched);
}

void save_bert(const Bert& model, const fs::path& folder) {
  const auto& lm = model.config().family().masked_lm;
  const std::string decoder(lm.decoder);
  NamedTensors values;
  for (const auto& [name, tensor] : model.parameters()) {
    values.push_back({name, model.registry().merged(name)});
    // transformers expects the bias of an untied decoder under this name.
    if (name == decoder + ".weight" && lm.bias != decoder + ".bias") {
      values.push_back({decoder + ".bias", model.parameter(lm.bias)});
    }
  }
  write_tensors(folder / "model.safetensors", values);
  datasets::write_file(folder / "config.json", to_json(model.config(), model.head()).dump(2) + "\n");
}

void save_adapters(const Bert& model, const transformer::LoraConfig& config, int64_t first_layer,
                   const std::string& base, const fs::path& folder) {
  const Family& family = model.config().family();
  transformer::AdaptedModel adapted = {.task_type = "SEQ_CLS", .base = base, .layers_pattern = "layer"};
  for (size_t i = 0; i < layer_modules.size(); i++) {
    if (config.adapts(layer_modules[i])) adapted.target_modules.push_back(family.modules[i]);
  }
  adapted.layers.resize(model.config().num_hidden_layers - first_layer);
  std::iota(adapted.layers.begin(), adapted.layers.end(), first_layer);
  for (const auto& parameter : model.parameters()) {  // pooler, classifier
    std::string_view name = parameter.name;
    if (in_encoder(name, family)) continue;
    if (name.starts_with(family.prefix)) name.remove_prefix(family.prefix.size());
    adapted.fully_saved.insert(name.substr(0, name.find('.')));
  }
  transformer::save_adapters(adapters_and_head(model), config, adapted, folder);
}

void load_adapters(Bert& model, const fs::path& folder) {
  transformer::load_adapters(adapters_and_head(model), folder);
}

}  // namespace sartor::bert
