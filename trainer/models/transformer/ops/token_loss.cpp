#include "models/transformer/ops/token_loss.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "core/parallel_for.h"
#include "core/profiler_range.h"
#include "models/transformer/ops/matmul.h"
#include "transformer/rows_kernels.h"

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

// Tokens per chunk: chunks have equal sizes up to rounding.
int64_t chunk_of(int64_t tokens, int64_t vocabulary) {
  const int64_t most = std::max<int64_t>(1, chunk_bytes / static_cast<int64_t>(sizeof(float)) / vocabulary);
  const int64_t chunks = std::max<int64_t>(1, (tokens + most - 1) / most);
  return std::max<int64_t>(1, (tokens + chunks - 1) / chunks);
}

// Writes left right to c of fp32, or adds it, on accelerators; the operands are of one dtype.
void multiply_on_device(const at::Tensor& c, const at::Tensor& left, const at::Tensor& right, bool add) {
  auto to = c;
  if (left.scalar_type() == at::kFloat) {
    add ? to.addmm_(left, right) : at::mm_out(to, left, right);
  } else {
    add ? to.add_(at::mm(left, right, at::kFloat)) : at::mm_out(to, left, right, at::kFloat);
  }
}

// Products of `compute`, by matmul() or libtorch.
struct Products {
  at::ScalarType compute;
  bool by_kernels;

  // An operand in the dtype of the products. matmul() rounds while it packs.
  at::Tensor operand(const at::Tensor& x) const { return by_kernels ? x : x.to(compute); }

  // Writes left right to c of fp32, or adds it.
  void operator()(const at::Tensor& c, const at::Tensor& left, const at::Tensor& right, bool add) const {
    if (by_kernels) return matmul_into(c, left, right, compute, add);
    if (!c.is_cpu()) return multiply_on_device(c, left, right, add);
    const auto product = at::mm(left, right);
    add ? c.add_(product) : c.copy_(product);
  }
};

// Negative log-likelihoods of a chunk, and the gradient of the logits if token weights are defined; overwrites logits.
at::Tensor losses_by_kernels(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& token_weights,
                             const at::Tensor& nll) {
  const int64_t columns = logits.size(1);
  cuda::parallel_for(at::get_num_threads(), logits.size(0), 4, [&](int64_t begin, int64_t end, int) {
    cuda::rows_kernels().token_loss(
        {.rows = end - begin,
         .columns = columns,
         .logits = logits.data_ptr<float>() + begin * columns,
         .targets = targets.const_data_ptr<int64_t>() + begin,
         .weights = token_weights.defined() ? token_weights.const_data_ptr<float>() + begin : nullptr,
         .nll = nll.data_ptr<float>() + begin});
  });
  return logits;
}
at::Tensor losses_by_libtorch(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& token_weights,
                              const at::Tensor& nll) {
  const auto log_p = at::log_softmax(logits, 1), target = targets.unsqueeze(1);
  nll.copy_(log_p.gather(1, target).squeeze(1).neg());
  if (!token_weights.defined()) return {};
  auto gradient = log_p.exp();
  gradient.scatter_(1, target, gradient.gather(1, target) - 1);
  return gradient.mul_(token_weights.unsqueeze(1));
}

Losses losses_of(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& targets,
                 const at::Tensor& token_weights, at::ScalarType compute, Wanted wanted, const KeptCast* kept) {
  const int64_t tokens = x.size(0), vocabulary = weight.size(0), chunk = chunk_of(tokens, vocabulary);
  const bool differentiates = wanted.x || wanted.weight;
  const Products multiply_into = {compute, has_matmul(x, compute)};
  const auto w = kept && !weight.is_cpu() ? (*kept)(weight, compute) : multiply_into.operand(weight);
  const auto fp32 = weight.options();
  Losses losses = {.nll = at::empty({tokens}, fp32)};
  at::Tensor by_x;
  if (wanted.x) by_x = at::empty(x.sizes(), fp32);
  if (wanted.weight) losses.by_weight = tokens > 0 ? at::empty(weight.sizes(), fp32) : at::zeros(weight.sizes(), fp32);
  const auto buffer = at::empty({std::min(chunk, tokens), vocabulary}, fp32);
  for (int64_t begin = 0; begin < tokens; begin += chunk) {
    const auto part = [&](const at::Tensor& all) {
      return all.defined() ? all.narrow(0, begin, std::min(chunk, tokens - begin)) : all;
    };
    const auto some = multiply_into.operand(part(x)), logits = buffer.narrow(0, 0, some.size(0));
    multiply_into(logits, some, w.t(), false);
    const auto softmax = x.is_cpu() ? losses_by_kernels : losses_by_libtorch;
    auto gradient =
        softmax(logits, part(targets), differentiates ? part(token_weights) : at::Tensor(), part(losses.nll));
    if (differentiates) gradient = multiply_into.operand(gradient);
    if (wanted.x) multiply_into(part(by_x), gradient, w, false);
    if (wanted.weight) multiply_into(losses.by_weight, gradient.t(), some, begin > 0);
  }
  if (wanted.x) losses.by_x = by_x.to(x.scalar_type());
  return losses;
}

struct TokenLoss : torch::autograd::Function<TokenLoss> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& targets, const at::Tensor& token_weights, at::ScalarType compute,
                            Wanted wanted, const KeptCast* kept) {
    auto losses = losses_of(x, weight, targets, token_weights, compute, wanted, kept);
    ctx->save_for_backward({losses.by_x, losses.by_weight});
    ctx->saved_data["scaled"] = false;
    return (losses.nll * token_weights).sum();
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    // Scaled in place: a copy of the weight's gradient would be as large as the weight.
    TORCH_CHECK(!ctx->saved_data["scaled"].toBool(), "token_loss: the backward pass can run once");
    ctx->saved_data["scaled"] = true;
    auto saved = ctx->get_saved_variables();
    for (auto& gradient : saved) {
      if (gradient.defined()) gradient.mul_(grads[0]);
    }
    return {saved[0], saved[1], {}, {}, {}, {}, {}};
  }
};

struct TokenLogProbabilities : torch::autograd::Function<TokenLogProbabilities> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& targets, at::ScalarType compute, const KeptCast* kept) {
    ctx->save_for_backward({x, weight, targets});
    ctx->saved_data["compute"] = static_cast<int64_t>(compute);
    return losses_of(x, weight, targets, {}, compute, {false, false}, kept).nll.neg();
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto token_weights = grads[0].neg().contiguous();
    const auto compute = static_cast<at::ScalarType>(ctx->saved_data["compute"].toInt());
    const auto losses = losses_of(saved[0], saved[1], saved[2], token_weights, compute,
                                  {ctx->needs_input_grad(0), ctx->needs_input_grad(1)}, nullptr);
    return {losses.by_x, losses.by_weight, {}, {}, {}};
  }
};

}  // namespace

at::Tensor token_loss(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& targets,
                      const at::Tensor& token_weights, at::ScalarType compute, const KeptCast* kept) {
  const cuda::ProfilerRange range("token_loss");
  const bool trains = c10::GradMode::is_enabled();
  const Wanted wanted = {trains && x.requires_grad(), trains && weight.requires_grad()};
  return TokenLoss::apply(x, weight, targets.contiguous(), token_weights.contiguous(), compute, wanted, kept);
}

at::Tensor token_log_probabilities(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& targets,
                                   at::ScalarType compute, const KeptCast* kept) {
  const cuda::ProfilerRange range("token_log_probabilities");
  return TokenLogProbabilities::apply(x, weight, targets.contiguous(), compute, kept);
}

}  // namespace sartor::transformer
