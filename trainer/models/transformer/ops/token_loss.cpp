#include "models/transformer/ops/token_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "core/profiler_range.h"

namespace sartor::transformer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t chunk_bytes = 64 << 20;  // of logits

// Which gradients are needed.
struct Wanted {
  bool x, weight;
};

struct Losses {
  at::Tensor nll;              // (T)
  at::Tensor by_x, by_weight;  // gradients of sum_t w_t nll_t; undefined if not wanted
};

Losses losses_of(const at::Tensor& x_in, const at::Tensor& weight, const at::Tensor& targets,
                 const at::Tensor& token_weights, at::ScalarType compute, Wanted wanted) {
  const int64_t tokens = x_in.size(0);
  const int64_t chunk = std::max<int64_t>(1, chunk_bytes / static_cast<int64_t>(sizeof(float)) / weight.size(0));
  const auto x = x_in.to(compute), w = weight.to(compute);
  const auto fp32 = weight.options();
  Losses losses = {.nll = at::empty({tokens}, fp32)};
  if (wanted.x) losses.by_x = at::empty(x.sizes(), x_in.options());
  if (wanted.weight) losses.by_weight = at::zeros(weight.sizes(), fp32);
  for (int64_t begin = 0; begin < tokens; begin += chunk) {
    const int64_t count = std::min(chunk, tokens - begin);
    const auto some = x.narrow(0, begin, count), target = targets.narrow(0, begin, count).unsqueeze(1);
    const auto log_p = at::log_softmax(at::mm(some, w.t()), 1, at::kFloat);
    losses.nll.narrow(0, begin, count).copy_(log_p.gather(1, target).squeeze(1).neg());
    if (!wanted.x && !wanted.weight) continue;
    auto gradient = log_p.exp();
    gradient.scatter_(1, target, gradient.gather(1, target) - 1);
    const auto rounded = gradient.mul_(token_weights.narrow(0, begin, count).unsqueeze(1)).to(compute);
    if (wanted.x) losses.by_x.narrow(0, begin, count).copy_(at::mm(rounded, w));
    if (wanted.weight) losses.by_weight.add_(at::mm(rounded.t(), some));
  }
  return losses;
}

struct TokenLoss : torch::autograd::Function<TokenLoss> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& targets, const at::Tensor& token_weights, at::ScalarType compute,
                            Wanted wanted) {
    auto losses = losses_of(x, weight, targets, token_weights, compute, wanted);
    ctx->save_for_backward({losses.by_x, losses.by_weight});
    return (losses.nll * token_weights).sum();
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto scaled = [&](const at::Tensor& gradient) {
      return gradient.defined() ? gradient * grads[0].to(gradient.scalar_type()) : at::Tensor();
    };
    return {scaled(saved[0]), scaled(saved[1]), {}, {}, {}, {}};
  }
};

struct TokenLogProbabilities : torch::autograd::Function<TokenLogProbabilities> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& targets, at::ScalarType compute) {
    ctx->save_for_backward({x, weight, targets});
    ctx->saved_data["compute"] = static_cast<int64_t>(compute);
    return losses_of(x, weight, targets, {}, compute, {false, false}).nll.neg();
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto compute = static_cast<at::ScalarType>(ctx->saved_data["compute"].toInt());
    const auto losses = losses_of(saved[0], saved[1], saved[2], grads[0].neg(), compute,
                                  {ctx->needs_input_grad(0), ctx->needs_input_grad(1)});
    return {losses.by_x, losses.by_weight, {}, {}};
  }
};

}  // namespace

at::Tensor token_loss(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& targets,
                      const at::Tensor& token_weights, at::ScalarType compute) {
  const cuda::ProfilerRange range("token_loss");
  const bool trains = c10::GradMode::is_enabled();
  const Wanted wanted = {trains && x.requires_grad(), trains && weight.requires_grad()};
  return TokenLoss::apply(x, weight, targets, token_weights, compute, wanted);
}

at::Tensor token_log_probabilities(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& targets,
                                   at::ScalarType compute) {
  const cuda::ProfilerRange range("token_log_probabilities");
  return TokenLogProbabilities::apply(x, weight, targets, compute);
}

}  // namespace sartor::transformer
