#include "models/transformer/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <map>

#include "base/require.h"
#include "models/hf/json.h"
#include "models/hf/safetensors.h"
#include "models/transformer/ops.h"
#include "storage/atomic_file.h"

namespace sartor::transformer {
namespace {

constexpr const char* peft_prefix = "base_model.model.";  // prefix of tensor names in adapter files

}  // namespace

Adapter new_adapter(const LoraConfig& config, const at::Tensor& weight) {
  const c10::NoGradGuard no_gradients;
  const int64_t in = weight.size(1);
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  auto a = at::empty({config.rank, in}, at::kFloat).uniform_(-bound, bound).to(weight.device());
  auto b = at::zeros({weight.size(0), config.rank}, weight.options());
  return {a.requires_grad_(), b.requires_grad_(), config.alpha / static_cast<double>(config.rank), config.dropout};
}

at::Tensor adapted(const Adapter& adapter, at::Tensor y, const at::Tensor& x, bool trains) {
  const auto type = y.scalar_type();
  if (!x.is_cpu()) {
    const auto narrow = linear(dropout(x, trains ? adapter.dropout : 0), adapter.a, {}, type, &adapter.a_casts);
    return y.add_(linear(narrow, adapter.b, {}, type, &adapter.b_casts), adapter.scale);
  }
  const auto narrow = at::linear(dropout(x.to(type), trains ? adapter.dropout : 0), adapter.a.to(type));
  return y.addmm_(narrow, adapter.b.to(type).t(), 1, adapter.scale);
}

at::Tensor merged(const Adapter& adapter, const at::Tensor& weight) {
  return at::addmm(weight.detach(), adapter.b.detach(), adapter.a.detach(), 1, adapter.scale);
}

void save_adapters(const NamedTensors& trained, const LoraConfig& config, const AdaptedModel& model,
                   const std::filesystem::path& folder) {
  auto tensors = trained;
  for (auto& [name, tensor] : tensors) name = peft_prefix + name;
  write_tensors(folder / "adapter_model.safetensors", tensors);
  hf::Json json = {{"peft_type", "LORA"},
                   {"task_type", model.task_type},
                   {"base_model_name_or_path", model.base},
                   {"r", config.rank},
                   {"lora_alpha", config.alpha},
                   {"lora_dropout", config.dropout},
                   {"target_modules", model.target_modules},
                   {"layers_to_transform", model.layers},
                   {"layers_pattern", model.layers_pattern},
                   {"modules_to_save", model.fully_saved.empty() ? hf::Json() : hf::Json(model.fully_saved)},
                   {"bias", "none"},
                   {"inference_mode", true}};
  if (model.fan_in_fan_out) json["fan_in_fan_out"] = true;
  datasets::write_file(folder / "adapter_config.json", json.dump(2) + "\n");
}

void load_adapters(const NamedTensors& trained, const std::filesystem::path& folder) {
  const c10::NoGradGuard no_gradients;
  const auto path = folder / "adapter_model.safetensors";
  std::map<std::string, at::Tensor> saved;
  for (auto& [name, tensor] : read_tensors(path)) saved[name] = std::move(tensor);
  for (const auto& [name, tensor] : trained) {
    const auto found = saved.find(peft_prefix + name);
    require(found != saved.end(), "{}: has no tensor {}{}", path.string(), peft_prefix, name);
    require(found->second.sizes() == tensor.sizes(), "{}: {} is {}, expected {}", path.string(), found->first,
            hf::shape_text(found->second.sizes()), hf::shape_text(tensor.sizes()));
    tensor.copy_(found->second);
  }
}

}  // namespace sartor::transformer
