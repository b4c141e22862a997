#include "models/bert/product.h"

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "core/isa.h"
#include "core/parallel_for.h"
#include "models/bert/ops.h"
#include "schema/require.h"

namespace sartor::bert {
namespace {

// oneDNN takes other kernels for fewer rows, whose sums are rounded in another order (measured). Without AVX-512 it
// does so for rows at the end that are no six, and for many rows cuts the sums elsewhere.
constexpr int64_t fewest_rows = 16, rows_of_v3 = 6;

constexpr int64_t block_rows = 120;  // of a product's input that stay in the second cache while all outputs go by

at::Tensor onednn_weight(const at::Tensor& weight) {
  static const auto reorder = c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_reorder_linear_weight", "");
  torch::jit::Stack stack = {weight, c10::IValue()};
  reorder.callBoxed(&stack);
  return stack[0].toTensor();
}

template <class Multiply> at::Tensor in_one(const at::Tensor& x, const Multiply& multiply) {
  const int64_t rows = x.size(0);
  if (rows >= fewest_rows) return multiply(x);
  const auto filled = at::cat({x, at::zeros({fewest_rows - rows, x.size(1)}, x.options())});
  return multiply(filled).narrow(0, 0, rows).contiguous();
}

// fp32, in blocks of rows that are multiplied by one thread each.
template <class Multiply> at::Tensor in_blocks(const at::Tensor& x, int64_t outputs, const Multiply& multiply) {
  auto y = at::empty({x.size(0), outputs}, x.options());
  float* to = y.mutable_data_ptr<float>();
  cuda::parallel_for(at::get_num_threads(), x.size(0), block_rows, [&](int64_t begin, int64_t end, int) {
    const c10::InferenceMode inference;  // is each thread's own
    const int64_t count = end - begin, missing = (rows_of_v3 - count % rows_of_v3) % rows_of_v3;
    const auto rows = x.narrow(0, begin, count);
    const auto product = multiply(missing == 0 ? rows : at::cat({rows, at::zeros({missing, x.size(1)}, x.options())}));
    std::copy_n(product.template const_data_ptr<float>(), count * outputs, to + begin * outputs);
  });
  return y;
}

}  // namespace

const Int8Kernels& int8_kernels() {
  static const Int8Kernels& best = [&]() -> const Int8Kernels& {
    if (cuda::best_isa() != cuda::Isa::v4) return v3::int8_kernels;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vnni") ? v4::int8_kernels_vnni : v4::int8_kernels;
  }();
  return best;
}

Product::Product(const at::Tensor& weight, const at::Tensor& bias, InferencePrecision precision)
    : precision_(precision), inputs_(weight.size(1)), outputs_(weight.size(0)) {
  const auto dense = weight.detach().contiguous();
  require(precision != InferencePrecision::bf16 || cuda::best_isa() == cuda::Isa::v4,
          "precision is bf16, which needs a CPU with AVX-512; this one has int8 and fp32");
  if (precision != InferencePrecision::int8) {
    const auto type = precision == InferencePrecision::bf16 ? at::kBFloat16 : at::kFloat;
    weight_ = onednn_weight(dense.to(type));
    bias_ = bias.detach().to(type, false, true);
    return;
  }
  const int64_t groups = int8_inputs(inputs_) / int8_group, wide = int8_outputs(outputs_);
  weight_ = at::zeros({wide / int8_panel, groups, int8_panel, int8_group}, at::kChar);
  bias_ = at::zeros({2, wide}, at::kFloat);
  sums_.resize(wide);
  const float *from = dense.const_data_ptr<float>(), *biases = bias.detach().contiguous().const_data_ptr<float>();
  auto* panels = weight_.data_ptr<int8_t>();
  float *to_bias = bias_.data_ptr<float>(), *scales = to_bias + wide;
  for (int64_t j = 0; j < outputs_; j++) {
    const float* row = from + j * inputs_;
    float largest = 0;
    for (int64_t k = 0; k < inputs_; k++) largest = std::max(largest, std::abs(row[k]));
    const float scale = largest > 0 ? 127 / largest : 1;
    for (int64_t k = 0; k < inputs_; k++) {
      const auto rounded = static_cast<int32_t>(std::lrint(row[k] * scale));
      const int64_t panel = j / int8_panel, group = k / int8_group;
      panels[((panel * groups + group) * int8_panel + j % int8_panel) * int8_group + k % int8_group] =
          static_cast<int8_t>(rounded);
      sums_[j] += rounded;
    }
    scales[j] = 1 / scale;
    to_bias[j] = biases[j];
  }
}

Int8Weights Product::int8_weights() const {
  const float* bias = bias_.const_data_ptr<float>();
  return {inputs_, outputs_, weight_.const_data_ptr<int8_t>(), sums_.data(), bias + bias_.size(1), bias};
}

at::Tensor Product::by_onednn(const at::Tensor& x, const char* attribute, const char* algorithm) const {
  using Attributes = c10::List<std::optional<at::Scalar>>;
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                             .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                               c10::string_view, Attributes, std::optional<c10::string_view>)>();
  const auto multiply = [&](const at::Tensor& some) {
    return op.call(some, weight_, bias_, attribute, Attributes(), algorithm);
  };
  return cuda::best_isa() == cuda::Isa::v4 ? in_one(x, multiply) : in_blocks(x, outputs_, multiply);
}

at::Tensor Product::by_int8(const at::Tensor& x, bool gelu) const {
  const int64_t rows = x.size(0), wide = int8_inputs(inputs_);
  const auto values = at::empty({rows, wide}, at::kByte), zeros = at::empty({rows}, at::kInt);
  const auto inverse_scales = at::empty({rows}, at::kFloat);
  auto y = at::empty({rows, outputs_}, at::kFloat);
  const auto& kernels = int8_kernels();
  const auto weights = int8_weights();
  const auto* from = x.const_data_ptr<float>();
  const Int8Rows all = {rows, values.const_data_ptr<uint8_t>(), inverse_scales.const_data_ptr<float>(),
                        zeros.const_data_ptr<int32_t>()};
  const auto round = [&](int64_t begin, int64_t end) {
    kernels.round_rows(from + begin * inputs_, end - begin, inputs_, values.data_ptr<uint8_t>() + begin * wide,
                       inverse_scales.data_ptr<float>() + begin, zeros.data_ptr<int32_t>() + begin);
  };
  const auto multiply = [&](int64_t begin, int64_t end, int64_t first, int64_t count) {
    kernels.product({end - begin, all.values + begin * wide, all.inverse_scales + begin, all.zeros + begin}, weights,
                    first, count, gelu, y.data_ptr<float>() + begin * outputs_);
  };
  const int threads = at::get_num_threads();
  if (rows > block_rows || threads == 1) {
    cuda::parallel_for(threads, rows, block_rows, [&](int64_t begin, int64_t end, int) {
      round(begin, end);
      multiply(begin, end, 0, outputs_);
    });
  } else {  // few rows: threads share the outputs
    round(0, rows);
    const int64_t panels = int8_outputs(outputs_) / int8_panel;
    cuda::parallel_for(threads, panels, 1, [&](int64_t begin, int64_t end, int) {
      multiply(0, rows, begin * int8_panel, std::min(end * int8_panel, outputs_) - begin * int8_panel);
    });
  }
  return y;
}

at::Tensor Product::operator()(const at::Tensor& x) const {
  return precision_ == InferencePrecision::int8 ? by_int8(x, false) : by_onednn(x, "none", "");
}

at::Tensor Product::activated(const at::Tensor& x, Activation kind) const {
  const bool onednn = precision_ != InferencePrecision::int8;
  if (kind == Activation::gelu) return onednn ? by_onednn(x, "gelu", "none") : by_int8(x, true);
  if (onednn && kind == Activation::gelu_tanh) return by_onednn(x, "gelu", "tanh");
  if (onednn && kind == Activation::relu) return by_onednn(x, "relu", "");
  return activation((*this)(x), kind);
}

}  // namespace sartor::bert
