#include "models/transformer/parameters.h"

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace sartor::transformer {
namespace {

at::Tensor new_parameter(const hf::ParameterSpec& spec, double initializer_range, at::Device device) {
  auto tensor = at::empty(spec.shape, at::TensorOptions(device).dtype(at::kFloat));
  switch (spec.kind) {
    case hf::ParameterKind::weight:
      tensor.normal_(0, initializer_range);
      break;
    case hf::ParameterKind::bias:
      tensor.zero_();
      break;
    case hf::ParameterKind::norm:
      tensor.fill_(1);
      break;
  }
  return tensor.requires_grad_();
}

std::string part(std::string_view module, const char* what) { return std::string(module).append(what); }

}  // namespace

Parameters::Parameters(const std::vector<hf::ParameterSpec>& list, double initializer_range, at::Device device) {
  const c10::NoGradGuard no_gradients;
  for (const auto& spec : list) {
    place_.emplace(spec.name, all_.size());
    all_.push_back({spec.name, new_parameter(spec, initializer_range, device)});
    kinds_.push_back(spec.kind);
  }
}

size_t Parameters::place(std::string_view name) const {
  const auto found = place_.find(name);
  if (found == place_.end()) throw std::out_of_range("the model has no parameter " + std::string(name));
  return found->second;
}

const at::Tensor& Parameters::get(std::string_view name) const { return all_[place(name)].tensor; }

Linear Parameters::linear(std::string_view module) const {
  const auto bias = part(module, ".bias");
  return {get(part(module, ".weight")), has(bias) ? get(bias) : at::Tensor()};
}

Norm Parameters::norm(std::string_view module) const {
  const auto bias = part(module, ".bias");
  return {get(part(module, ".weight")), has(bias) ? get(bias) : at::Tensor()};
}

void Parameters::adapt(Linear& linear, const std::string& module, const LoraConfig& config) {
  const auto& adapter = linear.adapter.emplace(new_adapter(config, linear.weight));
  adapter_of_.insert_or_assign(module + ".weight", adapter);
  adapters_.push_back({module + ".lora_A.weight", adapter.a});
  adapters_.push_back({module + ".lora_B.weight", adapter.b});
}

at::Tensor Parameters::merged(const std::string& name) const {
  const auto& weight = get(name);
  const auto adapter = adapter_of_.find(name);
  return adapter == adapter_of_.end() ? weight.detach() : transformer::merged(adapter->second, weight);
}

bool Parameters::decays(std::string_view name) const {
  const bool adapts = std::ranges::find(adapters_, name, &NamedTensor::name) != adapters_.end();
  return adapts || kinds_[place(name)] == hf::ParameterKind::weight;
}

void take_values(const Parameters& parameters, const hf::Matched& matched,
                 const std::function<at::Tensor(const std::string&, at::Tensor)>& changed) {
  const c10::NoGradGuard no_gradients;
  for (const auto& [spec, view] : matched.parameters) {
    if (!view) continue;
    auto values = to_float(*view);
    parameters.get(spec.name).copy_(changed ? changed(spec.name, std::move(values)) : values);
  }
}

}  // namespace sartor::transformer
