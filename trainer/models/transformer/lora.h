// Low-rank adaptation (LoRA, Hu et al. 2021): a frozen linear layer plus a trained product of two narrow matrices,
//
//   y = x W^T + bias + alpha / rank dropout(x) A^T B^T
//
// which is merged into W after training.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "models/tensors/tensor_file.h"
#include "models/transformer/lora_config.h"
#include "models/transformer/ops/linear.h"

namespace sartor::transformer {

struct Adapter {
  at::Tensor a, b;  // (rank, in), (out, rank) of fp32: leaves that require gradients
  double scale;     // alpha / rank
  double dropout;
  LinearCasts a_casts = {}, b_casts = {};
};

// Creates an adapter for weight (out, in), initialized as in peft: A is uniform in +-1 / sqrt(in), drawn from
// libtorch's default CPU generator; B is zero.
Adapter new_adapter(const LoraConfig& config, const at::Tensor& weight);

// Adds the adapter's output for x (T, in) to y (T, out), in the dtype of y. Differentiable.
at::Tensor adapted(const Adapter& adapter, at::Tensor y, const at::Tensor& x, bool trains);

// weight + alpha / rank B A
at::Tensor merged(const Adapter& adapter, const at::Tensor& weight);

// Fields of adapter_config.json besides LoraConfig, as named by peft.
struct AdaptedModel {
  std::string task_type;  // "SEQ_CLS"
  std::string base;       // folder of the base model
  std::vector<std::string_view> target_modules;
  std::vector<int64_t> layers;             // indices of the layers with adapters
  std::string layers_pattern;              // module name before the layer index
  std::set<std::string_view> fully_saved;  // first component of the names of modules that are trained fully
  bool fan_in_fan_out = false;             // whether the base model stores weights as (in, out), like GPT-2
};

// Writes the trained tensors, adapters and full parameters, named as in the model, to an existing folder in the format
// of peft: adapter_model.safetensors and adapter_config.json.
void save_adapters(const NamedTensors& trained, const LoraConfig& config, const AdaptedModel& model,
                   const std::filesystem::path& folder);
// Loads the values of the trained tensors. Throws std::invalid_argument if a tensor is missing or has another shape.
void load_adapters(const NamedTensors& trained, const std::filesystem::path& folder);

}  // namespace sartor::transformer
