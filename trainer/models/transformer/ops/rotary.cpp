#include "models/transformer/ops/rotary.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/require.h"
#include "core/parallel_for.h"
#include "core/profiler_range.h"
#include "models/transformer/ops/cpu_kernels.h"
#include "transformer/rows_kernels.h"

namespace sartor::transformer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t rotary_grain = 16;  // tokens per range

at::Tensor by_kernels(const at::Tensor& x_in, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& positions,
                      int64_t d, float sign) {
  const auto x = x_in.stride(1) == 1 ? x_in : x_in.contiguous();
  const auto y = at::empty(x.sizes(), x.options());
  const int64_t bytes = x.element_size();
  cuda::parallel_for(at::get_num_threads(), x.size(0), rotary_grain, [&](int64_t begin, int64_t end, int) {
    cuda::rows_kernels().rotate({.rows = end - begin,
                                 .heads = x.size(1) / d,
                                 .d = d,
                                 .x = static_cast<const char*>(x.const_data_ptr()) + begin * x.stride(0) * bytes,
                                 .x_stride = x.stride(0),
                                 .cos = cos.const_data_ptr<float>(),
                                 .sin = sin.const_data_ptr<float>(),
                                 .positions = positions.const_data_ptr<int64_t>() + begin,
                                 .sign = sign,
                                 .store = store_of(x),
                                 .y = static_cast<char*>(y.data_ptr()) + begin * y.size(1) * bytes,
                                 .y_stride = y.size(1)});
  });
  return y;
}

struct Rotation : torch::autograd::Function<Rotation> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                            const at::Tensor& positions, int64_t d) {
    ctx->save_for_backward({cos, sin, positions});
    ctx->saved_data["d"] = d;
    return by_kernels(x, cos, sin, positions, d, 1);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    return {by_kernels(grads[0], saved[0], saved[1], saved[2], ctx->saved_data["d"].toInt(), -1), {}, {}, {}, {}};
  }
};

at::Tensor by_libtorch(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                       const at::Tensor& position_ids_T, int64_t d) {
  const auto halves = x.to(at::kFloat).reshape({x.size(0), x.size(1) / d, d}).chunk(2, 2);
  const auto c = cos.index_select(0, position_ids_T).unsqueeze(1), s = sin.index_select(0, position_ids_T).unsqueeze(1);
  const auto rotated = at::cat({halves[0] * c - halves[1] * s, halves[1] * c + halves[0] * s}, 2);
  return rotated.reshape(x.sizes()).to(x.scalar_type());
}

void check(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& position_ids_T,
           int64_t d) {
  require(d > 0 && d % 2 == 0 && x.size(1) % d == 0,
          "rotation: x has {} columns, expected a multiple of the head size {}, which must be even", x.size(1), d);
  require(cos.size(1) == d / 2 && sin.sizes() == cos.sizes(),
          "rotation: the tables of cosines and sines have {} and {} columns, expected {}", cos.size(1), sin.size(1),
          d / 2);
  require(position_ids_T.numel() == x.size(0), "rotation: {} positions for {} tokens", position_ids_T.numel(),
          x.size(0));
}

}  // namespace

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& position_ids_T,
                  int64_t head_size) {
  const cuda::ProfilerRange range("rotary");
  check(x, cos, sin, position_ids_T, head_size);
  if (has_kernels(x)) {
    return Rotation::apply(x, cos.contiguous(), sin.contiguous(), position_ids_T.contiguous(), head_size);
  }
  return by_libtorch(x, cos, sin, position_ids_T, head_size);
}

}  // namespace sartor::transformer
