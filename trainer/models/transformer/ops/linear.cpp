#include "models/transformer/ops/linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "core/profiler_range.h"
#include "models/transformer/ops/matmul.h"

namespace sartor::transformer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct MatmulLinear : torch::autograd::Function<MatmulLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, at::ScalarType compute) {
    ctx->save_for_backward({x, weight});
    ctx->saved_data["bias"] = bias.has_value();
    ctx->saved_data["compute"] = static_cast<int64_t>(compute);
    return matmul(x, weight.t(), compute, compute, bias.value_or(at::Tensor()));
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &dy = grads[0];
    const auto compute = static_cast<at::ScalarType>(ctx->saved_data["compute"].toInt());
    at::Tensor dx, dweight, dbias;
    if (ctx->needs_input_grad(0)) dx = matmul(dy, weight, compute, x.scalar_type());
    if (ctx->needs_input_grad(1)) dweight = matmul(dy.t(), x, compute, at::kFloat);
    if (ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(2)) dbias = dy.sum(0, false, at::kFloat);
    return {dx, dweight, dbias, {}};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute) {
  const cuda::ProfilerRange range("linear");
  const auto some = bias.defined() ? std::optional(bias) : std::nullopt;
  if (has_matmul(x, compute)) return MatmulLinear::apply(x, weight, some, compute);
  return at::linear(x.to(compute), weight.to(compute), some ? std::optional(some->to(compute)) : std::nullopt);
}

}  // namespace sartor::transformer
