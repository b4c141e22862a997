#include "models/bert/folder.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "schema/require.h"
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

// Parameters that a folder may lack: those of a head, to be trained.
bool may_be_missing(const std::string& name) {
  return name.find("encoder.") == name.npos && name.find("embeddings.") == name.npos;
}

constexpr const char* peft_prefix = "base_model.model.";  // of names in an adapter's file

// Tensors that say nothing that the parameters do not: tied ones, and buffers that old versions saved.
bool is_redundant(const std::string& name, const BertConfig& config) {
  const bool decoder = name.ends_with("predictions.decoder.bias") || name == "lm_head.decoder.bias" ||
                       name.ends_with("predictions.decoder.weight") || name == "lm_head.decoder.weight";
  return name.ends_with("embeddings.position_ids") || (decoder && config.tie_word_embeddings);
}

bool in_output_layer(const std::string& name, const BertConfig& config) {
  const auto layer = output_layer(config);
  return name == layer + ".weight" || name == layer + ".bias";
}

// What is trained with adapters.
NamedTensors adapters_and_head(const Bert& model) {
  auto trained = model.adapters();
  for (const auto& parameter : model.parameters()) {
    if (may_be_missing(parameter.name)) trained.push_back(parameter);
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
  std::map<std::string, const hf::TensorView*> by_name;
  for (const auto& [name, tensor] : weights.tensors()) {
    auto canonical = canonical_name(name, config, head);
    // the bias of a decoder of its own is the head's bias
    if (!config.tie_word_embeddings && canonical.ends_with("decoder.bias")) {
      canonical.replace(canonical.size() - std::string_view("decoder.bias").size(), std::string::npos, "bias");
      by_name[canonical] = tensor;
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
      require(may_be_missing(parameter.name), "{}: has no tensor {}", weights.folder().string(), parameter.name);
      matched.missing.push_back(parameter.name);
    }
    matched.parameters.emplace_back(std::move(parameter), view);
  }
  for (const auto& [canonical, view] : by_name) {
    if (!known.contains(canonical) && !is_redundant(canonical, config)) matched.unexpected.push_back(view->name);
  }
  return matched;
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
  NamedTensors values;
  for (const auto& [name, tensor] : model.parameters()) {
    values.push_back({name, model.merged(name)});
    // transformers reads the bias of a decoder that is not tied from here
    if (name.ends_with("decoder.weight")) {
      const auto lm = name.substr(0, name.size() - std::string_view("decoder.weight").size());
      values.push_back({lm + "decoder.bias", model.parameter(lm + "bias")});
    }
  }
  write_tensors(folder / "model.safetensors", values);
  datasets::write_file(folder / "config.json", to_json(model.config(), model.head()).dump(2) + "\n");
}

void save_adapters(const Bert& model, const LoraConfig& config, int64_t first_layer, const std::string& base,
                   const fs::path& folder) {
  auto tensors = adapters_and_head(model);
  for (auto& [name, tensor] : tensors) name = peft_prefix + name;
  write_tensors(folder / "adapter_model.safetensors", tensors);
  std::vector<int64_t> layers(model.config().num_hidden_layers - first_layer);
  std::iota(layers.begin(), layers.end(), first_layer);
  const hf::Json json = {{"peft_type", "LORA"},
                         {"task_type", "SEQ_CLS"},
                         {"base_model_name_or_path", base},
                         {"r", config.rank},
                         {"lora_alpha", config.alpha},
                         {"lora_dropout", config.dropout},
                         {"target_modules", config.modules},
                         {"layers_to_transform", layers},
                         {"layers_pattern", "layer"},
                         {"modules_to_save", {"pooler", "classifier"}},
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
