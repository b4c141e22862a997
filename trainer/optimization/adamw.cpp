#include "optimization/adamw.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/require.h"

namespace sartor {

namespace {

std::vector<at::Tensor> gradients_of(const std::vector<TrainedParameter>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters) {
    if (parameter.tensor.grad().defined()) gradients.push_back(parameter.tensor.grad());
  }
  return gradients;
}

}  // namespace

AdamW::AdamW(const AdamWConfig& config, std::vector<TrainedParameter> parameters)
    : config_(config), parameters_(std::move(parameters)) {
  std::map<std::pair<double, double>, std::vector<size_t>> by_rule;
  for (size_t i = 0; i < parameters_.size(); i++) {
    const auto& [name, tensor, scale, decays] = parameters_[i];
    mean_.push_back(at::zeros_like(tensor));
    square_.push_back(at::zeros_like(tensor));
    steps_.push_back(at::zeros({}, tensor.options().dtype(at::kFloat)));
    by_rule[{decays ? config_.weight_decay : 0, scale}].push_back(i);
  }
  for (auto& [rule, members] : by_rule) groups_.push_back({rule.first, rule.second, std::move(members)});
}

std::vector<at::Tensor> AdamW::steps_to_count() const {
  std::vector<at::Tensor> steps;
  for (size_t i = 0; i < parameters_.size(); i++) {
    if (parameters_[i].tensor.grad().defined()) steps.push_back(steps_[i]);
  }
  return steps;
}

void AdamW::step(double learning_rate) {
  const c10::NoGradGuard no_grad;
  for (const auto& step : steps_to_count()) step.add_(1);
  update(learning_rate, {}, {});
}

void AdamW::step(double learning_rate, const at::Tensor& divisor, const at::Tensor& skip) {
  const c10::NoGradGuard no_grad;
  const auto steps = steps_to_count();
  if (!steps.empty()) at::_foreach_add_(steps, 1 - skip);
  update(learning_rate, divisor, skip);
}

void AdamW::update(double learning_rate, const at::Tensor& divisor, const at::Tensor& skip) {
  const auto if_defined = [](const at::Tensor& x) { return x.defined() ? std::optional(x) : std::nullopt; };
  for (const auto& group : groups_) {
    std::vector<at::Tensor> weights, gradients, means, squares, steps;
    for (const size_t i : group.members) {
      if (!parameters_[i].tensor.grad().defined()) continue;
      weights.push_back(parameters_[i].tensor);
      weights.back().unsafeGetTensorImpl()->bump_version();  // _fused_adamw_ does not
      gradients.push_back(parameters_[i].tensor.grad());
      means.push_back(mean_[i]);
      squares.push_back(square_[i]);
      steps.push_back(steps_[i]);
    }
    if (weights.empty()) continue;
    at::_fused_adamw_(weights, gradients, means, squares, /*max_exp_avg_sqs=*/{}, steps,
                      learning_rate * group.rate_scale, config_.adam_beta1, config_.adam_beta2, group.weight_decay,
                      config_.adam_epsilon, /*amsgrad=*/false, /*maximize=*/false, if_defined(divisor),
                      if_defined(skip));
  }
}

NamedTensors AdamW::state() const {
  NamedTensors named;
  for (size_t i = 0; i < parameters_.size(); i++) {
    named.push_back({"exp_avg." + parameters_[i].name, mean_[i]});
    named.push_back({"exp_avg_sq." + parameters_[i].name, square_[i]});
    named.push_back({"step." + parameters_[i].name, steps_[i]});
  }
  return named;
}

void AdamW::load(const NamedTensors& state) {
  const c10::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> found;
  for (const auto& [name, tensor] : state) found[name] = tensor;
  for (auto& [name, tensor] : this->state()) {
    const auto saved = found.find(name);
    require(saved != found.end(), "the optimizer state has no {}", name);
    require(saved->second.sizes() == tensor.sizes(), "the optimizer state's {} has {} elements, expected {}", name,
            saved->second.numel(), tensor.numel());
    tensor.copy_(saved->second);
  }
}

at::Tensor gradient_norm(const std::vector<TrainedParameter>& parameters) {
  const c10::NoGradGuard no_grad;
  const auto gradients = gradients_of(parameters);
  return gradients.empty() ? at::Tensor() : at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients, 2)), 2);
}

double clip_gradients(const std::vector<TrainedParameter>& parameters, double most) {
  const c10::NoGradGuard no_grad;
  const auto gradients = gradients_of(parameters);
  if (gradients.empty()) return 0;
  const auto norm = gradient_norm(parameters).item<double>();
  if (most > 0 && std::isfinite(norm)) {
    // Single precision and 1e-6 as in torch.nn.utils.clip_grad_norm_.
    const auto scale = static_cast<float>(most) / (static_cast<float>(norm) + 1e-6f);
    if (scale < 1) at::_foreach_mul_(gradients, scale);
  }
  return norm;
}

}  // namespace sartor
