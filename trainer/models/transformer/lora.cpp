#include "models/transformer/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "models/transformer/ops.h"

namespace sartor::transformer {

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
  const auto narrow = at::linear(dropout(x.to(type), trains ? adapter.dropout : 0), adapter.a.to(type));
  return y.addmm_(narrow, adapter.b.to(type).t(), 1, adapter.scale);
}

at::Tensor merged(const Adapter& adapter, const at::Tensor& weight) {
  return at::addmm(weight.detach(), adapter.b.detach(), adapter.a.detach(), 1, adapter.scale);
}

}  // namespace sartor::transformer
