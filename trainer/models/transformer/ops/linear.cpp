#include "models/transformer/ops/linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>
#include <optional>
#include <vector>

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

// Products of accelerators. `weight` and `bias` are the casts of the layers' weights and biases, one below the other.
struct JointLinear : torch::autograd::Function<JointLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, at::TensorList weights, at::TensorList biases,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    const auto x = x_in.to(weight.scalar_type());
    std::vector<int64_t> rows;
    for (const auto& part : weights) rows.push_back(part.size(0));
    ctx->save_for_backward({x, weight});
    ctx->saved_data["rows"] = rows;
    ctx->saved_data["biases"] = static_cast<int64_t>(biases.size());
    ctx->saved_data["type"] = static_cast<int64_t>(x_in.scalar_type());
    return at::linear(x, weight, bias);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &dy = grads[0];
    const auto rows = ctx->saved_data["rows"].toIntVector();
    const size_t weights = rows.size(), biases = ctx->saved_data["biases"].toInt();
    variable_list by(1 + weights + biases + 2);
    if (ctx->needs_input_grad(0)) {
      by[0] = at::mm(dy, weight).to(static_cast<at::ScalarType>(ctx->saved_data["type"].toInt()));
    }
    // Gives each layer its rows of a gradient, which is computed if one of them needs it.
    const auto share = [&](size_t first, size_t count, const auto& gradient) {
      at::Tensor all;
      int64_t begin = 0;
      for (size_t i = 0; i < count; begin += rows[i++]) {
        if (!ctx->needs_input_grad(first + i)) continue;
        if (!all.defined()) all = gradient();
        by[first + i] = all.narrow(0, begin, rows[i]);
      }
    };
    share(1, weights, [&] {
      return x.scalar_type() == at::kFloat ? at::mm(dy.t(), x) : at::mm(dy.t(), x, /*out_dtype=*/at::kFloat);
    });
    share(1 + weights, biases, [&] { return dy.sum(0, false, at::kFloat); });
    return by;
  }
};

}  // namespace

at::Tensor joint_linear(const at::Tensor& x, at::TensorList weights, at::TensorList biases, at::ScalarType compute,
                        const LinearCasts& casts) {
  const auto bias = biases.empty() ? std::nullopt : std::optional(casts.bias(biases, compute));
  return JointLinear::apply(x, weights, biases, casts.weight(weights, compute), bias);
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute,
                  const LinearCasts* casts) {
  const cuda::ProfilerRange range("linear");
  if (!x.is_cpu()) {
    const auto biases = bias.defined() ? at::TensorList(bias) : at::TensorList();
    return joint_linear(x, weight, biases, compute, casts ? *casts : LinearCasts());
  }
  const auto some = bias.defined() ? std::optional(bias) : std::nullopt;
  if (has_matmul(x, compute)) return MatmulLinear::apply(x, weight, some, compute);
  return at::linear(x.to(compute), weight.to(compute), some ? std::optional(some->to(compute)) : std::nullopt);
}

}  // namespace sartor::transformer
