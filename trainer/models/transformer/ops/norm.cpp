#include "models/transformer/ops/norm.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_rms_norm.h>
#include <ATen/ops/_fused_rms_norm_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "core/parallel_for.h"
#include "core/profiler_range.h"
#include "models/transformer/ops/cpu_kernels.h"
#include "models/transformer/ops/elementwise.h"
#include "transformer/norm_kernels.h"

namespace sartor::transformer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

int64_t grain_of(int64_t columns) { return std::max<int64_t>(16, 12288 / columns); }  // rows per range of 50 kB

struct Wanted {
  bool gradients, sum;
};

// Layer normalization, or RMS normalization without a bias.
struct AddNorm : torch::autograd::Function<AddNorm> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& x_in,
                               const std::optional<at::Tensor>& residual_in, const at::Tensor& weight,
                               const std::optional<at::Tensor>& bias, double eps, double probability, Wanted wanted) {
    const bool trains = wanted.gradients, rms = !bias;
    const auto x = x_in.contiguous(), residual = residual_in ? residual_in->contiguous() : at::Tensor();
    const int64_t rows = x.size(0), columns = x.size(1), bytes = x.element_size();
    auto normalised = at::empty_like(x);
    at::Tensor sum, mean, rstd;
    if (trains || wanted.sum) sum = at::empty_like(x);
    if (trains) {
      rstd = at::empty({rows}, x.options().dtype(at::kFloat));
      if (!rms) mean = at::empty_like(rstd);
    }
    const cuda::Dropout dropout = draw_dropout(probability);
    const auto& kernels = cuda::norm_kernels();
    cuda::parallel_for(at::get_num_threads(), rows, grain_of(columns), [&](int64_t begin, int64_t end, int) {
      const auto part = [&](const at::Tensor& all) {
        return all.defined() ? static_cast<char*>(all.data_ptr()) + begin * columns * bytes : nullptr;
      };
      kernels.normalise({.rows = end - begin,
                         .columns = columns,
                         .x = part(x),
                         .residual = part(residual),
                         .weight = weight.const_data_ptr<float>(),
                         .bias = rms ? nullptr : bias->const_data_ptr<float>(),
                         .eps = static_cast<float>(eps),
                         .dropout = dropout,
                         .store = store_of(x),
                         .sum = part(sum),
                         .mean = mean.defined() ? mean.data_ptr<float>() + begin : nullptr,
                         .rstd = rstd.defined() ? rstd.data_ptr<float>() + begin : nullptr,
                         .normalised = part(normalised),
                         .first_row = begin,
                         .rms = rms});
    });
    ctx->save_for_backward({sum, weight, mean, rstd});
    ctx->set_materialize_grads(false);
    save_dropout(ctx, dropout);
    ctx->saved_data["residual"] = residual.defined();
    if (wanted.sum) return {normalised, sum};
    return {normalised};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &sum = saved[0], &weight = saved[1], &mean = saved[2], &rstd = saved[3];
    const auto dy = grads[0].defined() ? grads[0].contiguous() : at::zeros_like(sum);
    const auto also = grads.size() > 1 && grads[1].defined() ? grads[1].contiguous() : at::Tensor();
    const cuda::Dropout dropout = saved_dropout(ctx);
    const int64_t rows = sum.size(0), columns = sum.size(1), bytes = sum.element_size();
    auto by_sum = at::empty_like(sum);
    const auto by_x = dropout.keep < 1 ? at::empty_like(sum) : at::Tensor();
    // Partial sums per range, not per thread, so that results do not depend on the assignment of ranges to threads.
    const bool rms = !mean.defined();
    const int64_t range = std::max<int64_t>(16, (rows + 31) / 32), ranges = (rows + range - 1) / range;
    const int64_t parameters = rms ? 1 : 2;
    auto partial = at::zeros({ranges, parameters, columns}, weight.options());
    const auto& kernels = cuda::norm_kernels();
    cuda::parallel_for(at::get_num_threads(), rows, range, [&](int64_t begin, int64_t end, int) {
      const auto part = [&](const at::Tensor& all) {
        return all.defined() ? static_cast<char*>(all.data_ptr()) + begin * columns * bytes : nullptr;
      };
      float* sums = partial.data_ptr<float>() + begin / range * parameters * columns;
      kernels.normalise_backward({.rows = end - begin,
                                  .columns = columns,
                                  .weight = weight.const_data_ptr<float>(),
                                  .dropout = dropout,
                                  .store = store_of(sum),
                                  .first_row = begin,
                                  .rms = rms},
                                 {.normalised = part(dy),
                                  .also = part(also),
                                  .sum = part(sum),
                                  .mean = rms ? nullptr : mean.const_data_ptr<float>() + begin,
                                  .rstd = rstd.const_data_ptr<float>() + begin,
                                  .by_sum = part(by_sum),
                                  .by_x = part(by_x),
                                  .by_weight = sums,
                                  .by_bias = rms ? nullptr : sums + columns});
    });
    const auto by_parameters = partial.sum(0);
    return {by_x.defined() ? by_x : by_sum,
            ctx->saved_data["residual"].toBool() ? by_sum : at::Tensor(),
            by_parameters[0],
            rms ? at::Tensor() : by_parameters[1],
            {},
            {},
            {}};
  }
};

bool requires_grad(const at::Tensor& x) { return x.defined() && x.requires_grad(); }

// Returns the norm and, if with_sum, the sum. An undefined bias means RMS normalization.
variable_list by_kernels(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                         const at::Tensor& bias, double eps, double probability, bool with_sum) {
  const bool trains = c10::GradMode::is_enabled() &&
                      (requires_grad(x) || requires_grad(residual) || requires_grad(weight) || requires_grad(bias));
  const auto given = [](const at::Tensor& t) { return t.defined() ? std::optional(t) : std::nullopt; };
  return AddNorm::apply(x, given(residual), weight, given(bias), eps, probability, Wanted{trains, with_sum});
}

at::Tensor sum_by_libtorch(const at::Tensor& x, const at::Tensor& residual, double probability) {
  const auto kept = transformer::dropout(x, probability);
  return residual.defined() ? kept + residual : kept;
}

SumAndNorm by_libtorch(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                       const at::Tensor& bias, double eps, double probability) {
  auto sum = sum_by_libtorch(x, residual, probability);
  auto normalised = at::layer_norm(sum.to(at::kFloat), {x.size(1)}, weight, bias, eps).to(x.scalar_type());
  return {std::move(sum), std::move(normalised)};
}

// RMS normalization by the kernel of accelerators, which requires the weight in the dtype of its input.
struct FusedRmsNorm : torch::autograd::Function<FusedRmsNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, double eps) {
    auto [normalised, rstd] = at::_fused_rms_norm(x.to(at::kFloat), weight.sizes(), weight, eps);
    ctx->save_for_backward({x, weight, rstd});
    return normalised.to(x.scalar_type());
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &rstd = saved[2];
    auto [by_x, by_weight] =
        at::_fused_rms_norm_backward(grads[0].to(at::kFloat), x.to(at::kFloat), weight.sizes(), rstd, weight,
                                     {ctx->needs_input_grad(0), ctx->needs_input_grad(1)});
    return {by_x.defined() ? by_x.to(x.scalar_type()) : by_x, by_weight, {}};
  }
};

SumAndNorm rms_by_libtorch(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, double eps,
                           double probability) {
  auto sum = sum_by_libtorch(x, residual, probability);
  if (!x.is_cpu()) {
    auto normalised = FusedRmsNorm::apply(sum, weight, eps);
    return {std::move(sum), std::move(normalised)};
  }
  const auto wide = sum.to(at::kFloat);
  const auto rstd = at::rsqrt(wide.square().mean(1, true) + eps);
  auto normalised = ((wide * rstd).to(x.scalar_type()) * weight).to(x.scalar_type());
  return {std::move(sum), std::move(normalised)};
}

}  // namespace

at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, const at::Tensor& bias,
                    double eps, double dropout) {
  const cuda::ProfilerRange range("norm");
  if (has_kernels(x)) return by_kernels(x, residual, weight, bias, eps, dropout, false)[0];
  return by_libtorch(x, residual, weight, bias, eps, dropout).normalised;
}

SumAndNorm add_and_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const at::Tensor& bias, double eps, double dropout) {
  const cuda::ProfilerRange range("norm");
  if (!has_kernels(x)) return by_libtorch(x, residual, weight, bias, eps, dropout);
  auto found = by_kernels(x, residual, weight, bias, eps, dropout, true);
  return {std::move(found[1]), std::move(found[0])};
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const cuda::ProfilerRange range("norm");
  if (has_kernels(x)) return by_kernels(x, {}, weight, {}, eps, 0, false)[0];
  return rms_by_libtorch(x, {}, weight, eps, 0).normalised;
}

SumAndNorm add_and_rms_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, double eps,
                            double dropout) {
  const cuda::ProfilerRange range("norm");
  if (!has_kernels(x)) return rms_by_libtorch(x, residual, weight, eps, dropout);
  auto found = by_kernels(x, residual, weight, {}, eps, dropout, true);
  return {std::move(found[1]), std::move(found[0])};
}

}  // namespace sartor::transformer
