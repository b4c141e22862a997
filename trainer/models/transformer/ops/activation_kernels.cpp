#include "models/transformer/ops/activation_kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/parallel_for.h"
#include "models/transformer/ops/cpu_kernels.h"

namespace sartor::transformer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t grain = 16384;  // elements per range

char* place(const at::Tensor& x, int64_t at) {
  return x.defined() ? static_cast<char*>(x.data_ptr()) + at * x.element_size() : nullptr;
}

// Calls use(values of a range, first element) in parallel.
template <class Use>
void each_range(const at::Tensor& x, const at::Tensor& up, cuda::Curve curve, const at::Tensor& y, const Use& use) {
  cuda::parallel_for(at::get_num_threads(), x.numel(), grain, [&](int64_t begin, int64_t end, int) {
    use(cuda::ActivationValues{.count = end - begin,
                               .curve = curve,
                               .store = store_of(x),
                               .x = place(x, begin),
                               .up = place(up, begin),
                               .y = place(y, begin)},
        begin);
  });
}

struct Activated : torch::autograd::Function<Activated> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, const std::optional<at::Tensor>& up_in,
                            cuda::Curve curve) {
    const auto x = x_in.contiguous(), up = up_in ? up_in->contiguous() : at::Tensor();
    const auto y = at::empty_like(x);
    each_range(x, up, curve, y, [](const cuda::ActivationValues& of, int64_t) { cuda::rows_kernels().activate(of); });
    ctx->save_for_backward({x, up});
    ctx->saved_data["curve"] = static_cast<int64_t>(curve);
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &up = saved[1];
    const auto by_y = grads[0].contiguous(), by_x = at::empty_like(x),
               by_up = up.defined() ? at::empty_like(up) : at::Tensor();
    const auto curve = static_cast<cuda::Curve>(ctx->saved_data["curve"].toInt());
    each_range(x, up, curve, {}, [&](const cuda::ActivationValues& of, int64_t begin) {
      cuda::rows_kernels().activate_backward(
          of, {.by_y = place(by_y, begin), .by_x = place(by_x, begin), .by_up = place(by_up, begin)});
    });
    return {by_x, by_up, {}};
  }
};

}  // namespace

std::optional<cuda::Curve> curve_of(Activation kind) {
  switch (kind) {
    case Activation::gelu:
      return cuda::Curve::gelu;
    case Activation::gelu_tanh:
      return cuda::Curve::gelu_tanh;
    case Activation::silu:
      return cuda::Curve::silu;
    default:
      return std::nullopt;
  }
}

std::optional<cuda::Curve> curve_of(const at::Tensor& x, Activation kind) {
  return has_kernels(x) ? curve_of(kind) : std::nullopt;
}

at::Tensor activate(const at::Tensor& x, const at::Tensor& up, cuda::Curve curve) {
  return Activated::apply(x, up.defined() ? std::optional(up) : std::nullopt, curve);
}

}  // namespace sartor::transformer
