#include "models/transformer/ops/rotary.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/addcmul.h>
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

// (T, heads d) as heads (T, heads, d): x cos + (x with its halves exchanged) sin, with the sign of the sines in `sign`.
at::Tensor by_libtorch(const at::Tensor& x, const TokenAngles& angles, int64_t d, double sign) {
  const auto heads = x.reshape({x.size(0), x.size(1) / d, d});
  const auto rotated = at::addcmul(heads * angles.cos, heads.roll(d / 2, 2), angles.sin, sign);
  return rotated.to(x.scalar_type()).view(x.sizes());
}

struct DeviceRotation : torch::autograd::Function<DeviceRotation> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                            int64_t d) {
    ctx->save_for_backward({cos, sin});
    ctx->saved_data["d"] = d;
    return by_libtorch(x, {cos, sin, {}}, d, 1);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    return {by_libtorch(grads[0], {saved[0], saved[1], {}}, ctx->saved_data["d"].toInt(), -1), {}, {}, {}};
  }
};

TokenAngles by_token(const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& position_ids_T) {
  const auto c = cos.index_select(0, position_ids_T), s = sin.index_select(0, position_ids_T);
  return {at::cat({c, c}, 1).unsqueeze(1), at::cat({-s, s}, 1).unsqueeze(1), {}};
}

void check(const at::Tensor& x, const TokenAngles& angles, int64_t d) {
  require(d > 0 && d % 2 == 0 && x.size(1) % d == 0,
          "rotation: x has {} columns, expected a multiple of the head size {}, which must be even", x.size(1), d);
  const bool of_tables = angles.rows_T.defined();
  const int64_t columns = of_tables ? angles.cos.size(1) : angles.cos.size(2) / 2;
  require(columns == d / 2, "rotation: the tables of cosines and sines have {} columns, expected {}", columns, d / 2);
  const int64_t tokens = of_tables ? angles.rows_T.numel() : angles.cos.size(0);
  require(tokens == x.size(0), "rotation: {} positions for {} tokens", tokens, x.size(0));
}

}  // namespace

TokenAngles token_angles(const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& position_ids_T) {
  require(sin.sizes() == cos.sizes(), "rotation: the tables of cosines and sines have {} and {} columns", cos.size(1),
          sin.size(1));
  if (cos.is_cpu()) return {cos.contiguous(), sin.contiguous(), position_ids_T.contiguous()};
  return by_token(cos, sin, position_ids_T);
}

at::Tensor rotate(const at::Tensor& x, const TokenAngles& angles, int64_t head_size) {
  const cuda::ProfilerRange range("rotary");
  check(x, angles, head_size);
  if (has_kernels(x)) return Rotation::apply(x, angles.cos, angles.sin, angles.rows_T, head_size);
  const auto own = angles.rows_T.defined() ? by_token(angles.cos, angles.sin, angles.rows_T) : angles;
  return DeviceRotation::apply(x, own.cos, own.sin, head_size);
}

std::pair<at::Tensor, at::Tensor> rotate(const at::Tensor& query, const at::Tensor& key, const TokenAngles& angles,
                                         int64_t head_size) {
  if (query.is_cpu()) return {rotate(query, angles, head_size), rotate(key, angles, head_size)};
  const auto both =
      rotate(at::cat({query, key}, 1), angles, head_size).split_with_sizes({query.size(1), key.size(1)}, 1);
  return {both[0], both[1]};
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& position_ids_T,
                  int64_t head_size) {
  return rotate(x, token_angles(cos, sin, position_ids_T), head_size);
}

}  // namespace sartor::transformer
