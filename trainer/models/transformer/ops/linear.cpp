#include "models/transformer/ops/linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "core/isa.h"
#include "core/profiler_range.h"
#include "models/tensors/onednn.h"

namespace sartor::transformer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool faster_by_onednn() {
  static const bool faster = [] {
    __builtin_cpu_init();
    return cuda::best_isa() == cuda::Isa::v4 && !__builtin_cpu_is("intel");
  }();
  return faster;
}

struct OneDnnLinear : torch::autograd::Function<OneDnnLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
    ctx->save_for_backward({x, weight});
    ctx->saved_data["bias"] = bias.has_value();
    return onednn_linear(x, weight, bias);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const auto dy = grads[0].contiguous();
    at::Tensor dx, dweight, dbias;
    if (ctx->needs_input_grad(0)) dx = onednn_linear(dy, weight.t().contiguous(), {});
    if (ctx->needs_input_grad(1)) dweight = onednn_linear(dy.t().contiguous(), x.t().contiguous(), {});
    if (ctx->saved_data["bias"].toBool() && ctx->needs_input_grad(2)) dbias = dy.sum(0);
    return {dx, dweight, dbias};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute) {
  const cuda::ProfilerRange range("linear");
  const auto some = bias.defined() ? std::optional(bias) : std::nullopt;
  if (compute == at::kFloat && x.is_cpu() && x.size(0) > 0 && faster_by_onednn())
    return OneDnnLinear::apply(x, weight, some);
  return at::linear(x.to(compute), weight.to(compute), some ? std::optional(some->to(compute)) : std::nullopt);
}

}  // namespace sartor::transformer
