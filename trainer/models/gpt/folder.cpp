#include "models/gpt/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/require.h"
#include "models/hf/weights.h"
#include "storage/atomic_file.h"

namespace sartor::gpt {
namespace {

namespace fs = std::filesystem;

const std::string output_weight = std::string(output_layer) + ".weight";

std::string embeddings_name(const GptConfig& config) {
  const Family& family = config.family();
  return fmt::format("{}{}.weight", family.prefix, family.embeddings);
}

// The tensor with this canonical name, or nullptr.
const hf::TensorView* find(const hf::Weights& weights, const GptConfig& config, std::string_view name) {
  for (const auto& [theirs, tensor] : weights.tensors()) {
    if (canonical_name(theirs, config) == name) return tensor;
  }
  return nullptr;
}

bool equal(const hf::TensorView& a, const hf::TensorView& b) {
  if (a.shape != b.shape) return false;
  return a.dtype == b.dtype ? std::ranges::equal(a.data, b.data) : to_float(a).equal(to_float(b));
}

// Whether the folder has an output layer with other values than the embeddings that it should be tied to.
bool contradicts_tie(const hf::Weights& weights, const GptConfig& config) {
  if (!config.tie_word_embeddings) return false;
  const auto* embeddings = find(weights, config, embeddings_name(config));
  const auto* output = find(weights, config, output_weight);
  return embeddings && output && !equal(*embeddings, *output);
}

// Buffers saved by old versions.
bool is_buffer(std::string_view name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") || name.ends_with("rotary_emb.inv_freq");
}

std::string described(const fs::path& folder) {
  return fmt::format("{}: {} differs from the token embeddings, so they are not tied, although config.json says so",
                     folder.string(), output_weight);
}

hf::Matched match(const hf::Weights& weights, const GptConfig& config) {
  const bool tied = config.tie_word_embeddings;
  hf::MatchRules rules = {
      .canonical = [&](std::string_view name) { return canonical_name(name, config); },
      .is_redundant = [&](std::string_view name) { return is_buffer(name) || (tied && name == output_weight); }};
  const auto embeddings = embeddings_name(config);
  if (tied && !find(weights, config, embeddings)) rules.aliases.emplace(output_weight, embeddings);
  auto specs = parameters(config);
  for (auto& spec : specs) {
    if (is_transposed(spec.name, config)) std::swap(spec.shape[0], spec.shape[1]);
  }
  return hf::match(weights, std::move(specs), rules);
}

void take_values(const Gpt& model, const hf::Matched& matched) {
  transformer::take_values(model.registry(), matched, [&](const std::string& name, at::Tensor values) {
    return is_transposed(name, model.config()) ? values.t() : values;
  });
}

}  // namespace

std::vector<std::string> ignored(const fs::path& folder) {
  auto config = read_config(folder);
  const hf::Weights weights(folder);
  const bool untied = contradicts_tie(weights, config);
  if (untied) config.tie_word_embeddings = false;
  auto lines = hf::ignored_lines(folder, config.unknown, match(weights, config).unexpected);
  if (untied) lines.push_back(described(folder));
  return lines;
}

Gpt load_gpt(const fs::path& folder, at::Device device) { return load_gpt(folder, read_config(folder), device); }

Gpt load_gpt(const fs::path& folder, GptConfig config, at::Device device) {
  const hf::Weights weights(folder);
  if (contradicts_tie(weights, config)) config.tie_word_embeddings = false;
  const auto matched = match(weights, config);
  Gpt model(std::move(config), device);
  take_values(model, matched);
  return model;
}

StoredParameters::StoredParameters(const fs::path& folder) : weights_(folder), config_(read_config(folder)) {
  if (contradicts_tie(weights_, config_)) config_.tie_word_embeddings = false;
  for (const auto& [spec, view] : match(weights_, config_).parameters) views_[spec.name] = view;
}

at::Tensor StoredParameters::value(const std::string& name) const {
  const auto& found = view(name);
  auto values = mapped_tensor(found);
  if (!values.defined()) values = to_float(found);
  return is_transposed(name, config_) ? values.t() : values;
}

void load_weights(Gpt& model, const fs::path& folder) {
  const hf::Weights weights(folder);
  require(!contradicts_tie(weights, model.config()), "{}", described(folder));
  take_values(model, match(weights, model.config()));
}

void save_gpt(const Gpt& model, const fs::path& folder) {
  const auto& config = model.config();
  NamedTensors values;
  for (const auto& parameter : model.parameters()) {
    auto merged = model.registry().merged(parameter.name);
    values.push_back({parameter.name, is_transposed(parameter.name, config) ? merged.t().contiguous() : merged});
  }
  write_tensors(folder / "model.safetensors", values);
  datasets::write_file(folder / "config.json", to_json(config).dump(2) + "\n");
  if (!config.generation.is_null()) {
    datasets::write_file(folder / "generation_config.json", config.generation.dump(2) + "\n");
  }
}

void save_adapters(const Gpt& model, const LoraConfig& config, int64_t first_layer, const std::string& base,
                   const fs::path& folder) {
  const Family& family = model.config().family();
  const auto chosen = config.for_model(model.config());
  transformer::AdaptedModel adapted = {.task_type = "CAUSAL_LM",
                                       .base = base,
                                       .layers_pattern = std::string(family.layers),
                                       .fan_in_fan_out = family.transposed};
  for (const auto module : family.linear_layers()) {
    if (chosen.adapts(module)) adapted.target_modules.push_back(module);
  }
  adapted.layers.resize(model.config().num_hidden_layers - first_layer);
  std::iota(adapted.layers.begin(), adapted.layers.end(), first_layer);
  transformer::save_adapters(model.adapters(), chosen, adapted, folder);
}

void load_adapters(Gpt& model, const fs::path& folder) { transformer::load_adapters(model.adapters(), folder); }

}  // namespace sartor::gpt
