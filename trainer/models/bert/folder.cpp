#include "models/bert/folder.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "base/require.h"
#include "models/bert/families.h"
#include "storage/atomic_file.h"

namespace sartor::bert {
namespace {

namespace fs = std::filesystem;

std::optional<at::ScalarType> floating(hf::Dtype dtype) {
  switch (dtype) {
    case hf::Dtype::f16:
      return at::kHalf;
    case hf::Dtype::bf16:
      return at::kBFloat16;
    case hf::Dtype::f32:
      return at::kFloat;
    case hf::Dtype::f64:
      return at::kDouble;
    default:
      return {};
  }
}

constexpr const char* peft_prefix = "base_model.model.";  // of names in an adapter's file

// Tensors that say nothing that the parameters do not: tied ones, and buffers that old versions saved.
bool is_redundant(std::string_view name, const BertConfig& config) {
  const std::string decoder(config.family().masked_lm.decoder);
  const bool tied = config.tie_word_embeddings && (name == decoder + ".weight" || name == decoder + ".bias");
  return tied || name.ends_with("embeddings.position_ids");
}

bool in_output_layer(const std::string& name, const BertConfig& config) {
  const std::string layer(config.family().classifier.output);
  return name == layer + ".weight" || name == layer + ".bias";
}

// What is trained with adapters.
NamedTensors adapters_and_head(const Bert& model) {
  auto trained = model.adapters();
  for (const auto& parameter : model.parameters()) {
    if (!in_encoder(parameter.name, model.config().family())) trained.push_back(parameter);
  }
  return trained;
}

}  // namespace

at::Tensor to_float(const hf::TensorView& view) {
  const auto type = floating(view.dtype);
  require(type.has_value(), "tensor {}: dtype {}, expected F32, F16, BF16 or F64", view.name, name(view.dtype));
  auto tensor = at::empty(view.shape, at::TensorOptions().dtype(*type));
  if (!view.data.empty()) std::memcpy(tensor.data_ptr(), view.data.data(), view.data.size());
  return tensor.to(at::kFloat);
}

Matched match(const hf::Weights& weights, const BertConfig& config, Head head, const OutputLayer& output) {
  const Family& family = config.family();
  const auto decoder_bias = std::string(family.masked_lm.decoder) + ".bias";
  std::map<std::string, const hf::TensorView*> by_name;
  for (const auto& [name, tensor] : weights.tensors()) {
    const auto canonical = canonical_name(name, config, head);
    if (!config.tie_word_embeddings && canonical == decoder_bias) {  // that of a decoder of its own is the head's
      by_name[std::string(family.masked_lm.bias)] = tensor;
      continue;
    }
    const auto [other, is_new] = by_name.emplace(canonical, tensor);
    require(is_new || canonical.ends_with("bias"), "{}: tensors {} and {} are the same parameter",
            weights.folder().string(), other->second->name, name);
  }
  Matched matched;
  std::set<std::string> known;
  for (auto& parameter : parameters(config, head)) {
    known.insert(parameter.name);
    const auto found = by_name.find(parameter.name);
    const bool drawn = found == by_name.end() || (output.anew && in_output_layer(parameter.name, config));
    const hf::TensorView* view = drawn ? nullptr : found->second;
    if (view) {
      require(view->shape == parameter.shape, "{}: tensor {} is {}, config.json makes it {}", weights.folder().string(),
              view->name, hf::shape_text(view->shape), hf::shape_text(parameter.shape));
      require(floating(view->dtype).has_value(), "{}: tensor {}: dtype {}, expected F32, F16, BF16 or F64",
              weights.folder().string(), view->name, name(view->dtype));
    } else {
      require(!in_encoder(parameter.name, family), "{}: has no tensor {}", weights.folder().string(), parameter.name);
      matched.missing.push_back(parameter.name);
    }
    matched.parameters.emplace_back(std::move(parameter), view);
  }
  for (const auto& [canonical, view] : by_name) {
    if (!known.contains(canonical) && !is_redundant(canonical, config)) matched.unexpected.push_back(view->name);
  }
  return matched;
}

std::vector<std::string> ignored(const fs::path& folder, Head head) {
  const auto config = read_config(folder);
  const hf::Weights weights(folder);
  const auto unused = match(weights, config, head).unexpected;
  const auto some = [](const std::vector<std::string>& names) {
    constexpr size_t most = 5;
    const std::vector<std::string> shown(names.begin(),
                                         names.begin() + static_cast<ptrdiff_t>(std::min(most, names.size())));
    const auto text = fmt::format("{}", fmt::join(shown, ", "));
    return names.size() <= most ? text : fmt::format("{} and {} more", text, names.size() - most);
  };
  std::vector<std::string> lines;
  if (!config.unknown.empty()) {
    lines.push_back(
        fmt::format("fields of {} that are ignored: {}", (folder / "config.json").string(), some(config.unknown)));
  }
  if (!unused.empty())
    lines.push_back(fmt::format("tensors of {} that are not used: {}", folder.string(), some(unused)));
  return lines;
}

Loaded load_bert(const fs::path& folder, Head head, at::Device device) {
  return load_bert(folder, read_config(folder), head, device);
}

Loaded load_bert(const fs::path& folder, BertConfig config, Head head, at::Device device, const OutputLayer& output) {
  const hf::Weights weights(folder);
  auto matched = match(weights, config, head, output);
  Bert model(std::move(config), head, device);
  const c10::AutoGradMode no_gradients(false);
  for (const auto& [parameter, view] : matched.parameters) {
    if (!view) continue;
    auto values = to_float(*view);
    if (!output.rows.empty() && in_output_layer(parameter.name, model.config())) {
      values = values.index_select(0, at::tensor(output.rows, at::kLong));
    }
    model.parameter(parameter.name).copy_(values);
  }
  return {std::move(model), std::move(matched.missing), std::move(matched.unexpected)};
}

void save_bert(const Bert& model, const fs::path& folder) {
  const auto& lm = model.config().family().masked_lm;
  const std::string decoder(lm.decoder);
  NamedTensors values;
  for (const auto& [name, tensor] : model.parameters()) {
    values.push_back({name, model.merged(name)});
    // transformers reads the bias of a decoder that is not tied from beside its weight
    if (name == decoder + ".weight" && lm.bias != decoder + ".bias") {
      values.push_back({decoder + ".bias", model.parameter(std::string(lm.bias))});
    }
  }
  write_tensors(folder / "model.safetensors", values);
  datasets::write_file(folder / "config.json", to_json(model.config(), model.head()).dump(2) + "\n");
}

void save_adapters(const Bert& model, const transformer::LoraConfig& config, int64_t first_layer,
                   const std::string& base, const fs::path& folder) {
  auto tensors = adapters_and_head(model);
  for (auto& [name, tensor] : tensors) name = peft_prefix + name;
  write_tensors(folder / "adapter_model.safetensors", tensors);
  const Family& family = model.config().family();
  std::vector<std::string_view> modules;
  for (size_t i = 0; i < transformer::layer_modules.size(); i++) {
    if (config.adapts(transformer::layer_modules[i])) modules.push_back(family.modules[i]);
  }
  std::vector<int64_t> layers(model.config().num_hidden_layers - first_layer);
  std::iota(layers.begin(), layers.end(), first_layer);
  std::set<std::string_view> saved;  // what stands on the encoder, by the first words of its names: pooler, classifier
  for (const auto& parameter : model.parameters()) {
    std::string_view name = parameter.name;
    if (in_encoder(name, family)) continue;
    if (name.starts_with(family.prefix)) name.remove_prefix(family.prefix.size());
    saved.insert(name.substr(0, name.find('.')));
  }
  const hf::Json json = {{"peft_type", "LORA"},
                         {"task_type", "SEQ_CLS"},
                         {"base_model_name_or_path", base},
                         {"r", config.rank},
                         {"lora_alpha", config.alpha},
                         {"lora_dropout", config.dropout},
                         {"target_modules", modules},
                         {"layers_to_transform", layers},
                         {"layers_pattern", "layer"},
                         {"modules_to_save", saved},
                         {"bias", "none"},
                         {"inference_mode", true}};
  datasets::write_file(folder / "adapter_config.json", json.dump(2) + "\n");
}

void load_adapters(Bert& model, const fs::path& folder) {
  const c10::AutoGradMode no_gradients(false);
  const auto path = folder / "adapter_model.safetensors";
  std::map<std::string, at::Tensor> saved;
  for (auto& [name, tensor] : read_tensors(path)) saved[name] = std::move(tensor);
  for (auto& [name, tensor] : adapters_and_head(model)) {
    const auto found = saved.find(peft_prefix + name);
    require(found != saved.end(), "{}: has no tensor {}{}", path.string(), peft_prefix, name);
    require(found->second.sizes() == tensor.sizes(), "{}: {} is {}, expected {}", path.string(), found->first,
            hf::shape_text(found->second.sizes().vec()), hf::shape_text(tensor.sizes().vec()));
    tensor.copy_(found->second);
  }
}

}  // namespace sartor::bert
