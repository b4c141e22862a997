// Low-rank adaptation (LoRA, Hu et al. 2021): a frozen linear layer learns by the product of two narrow matrices,
//
//   y = x W^T + bias + alpha / rank dropout(x) A^T B^T
//
// which is added to W when training is over.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "models/tensors/tensor_file.h"
#include "models/transformer/lora_config.h"

namespace sartor::transformer {

struct Adapter {
  at::Tensor a, b;  // (rank, in), (out, rank) of fp32: leaves that require gradients
  double scale;     // alpha / rank
  double dropout;
};

// For weight (out, in). As peft begins: A uniform within 1 / sqrt(in), by libtorch's default CPU generator, B zero.
Adapter new_adapter(const LoraConfig& config, const at::Tensor& weight);

// Adds to y (T, out) what the adapter makes of x (T, in), in y's dtype. Gradients pass.
at::Tensor adapted(const Adapter& adapter, at::Tensor y, const at::Tensor& x, bool trains);

// weight + alpha / rank B A
at::Tensor merged(const Adapter& adapter, const at::Tensor& weight);

// What adapter_config.json says beside the LoraConfig, in peft's words.
struct AdaptedModel {
  std::string task_type;  // "SEQ_CLS"
  std::string base;       // folder of the model that the adapters are for
  std::vector<std::string_view> target_modules;
  std::vector<int64_t> layers;  // numbers of those that have adapters
  std::string layers_pattern;   // the word before a layer's number
  std::set<std::string_view>
      fully_saved;  // modules that are trained without adapters, by the first word of their names
};

// Writes what is trained, adapters and whole parameters by their names in the model, into a folder that exists, as peft
// does: adapter_model.safetensors and adapter_config.json.
void save_adapters(const NamedTensors& trained, const LoraConfig& config, const AdaptedModel& model,
                   const std::filesystem::path& folder);
// Reads the values of what is trained. Throws std::invalid_argument where a tensor is missing or of another shape.
void load_adapters(const NamedTensors& trained, const std::filesystem::path& folder);

}  // namespace sartor::transformer
