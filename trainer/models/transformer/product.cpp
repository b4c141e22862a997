#include "models/transformer/product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/require.h"
#include "core/isa.h"
#include "core/parallel_for.h"
#include "core/profiler_range.h"
#include "models/tensors/onednn.h"
#include "models/transformer/ops.h"
#include "transformer/product_kernels.h"

namespace sartor::transformer {
namespace {

using namespace cuda;  // kernels

constexpr int64_t block_rows = 120;  // rows of inputs that stay in the L2 cache during the loop over outputs

// Rows per call of oneDNN. Fixed, because oneDNN selects kernels by the number of rows, and their sums are rounded in
// different orders.
constexpr int64_t onednn_rows = 64;

bool has_amx() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("amx-bf16");
}

// Packs the rows of a weight (out, in) into panels: [padded outputs / panel][groups][panel], with groups of 4 bytes.
at::Tensor panels_of(const at::Tensor& weight, int64_t panel) {
  const int64_t group = 4 / weight.element_size(), outputs = weight.size(0), wide = panel_outputs(outputs);
  const int64_t missing = (group - weight.size(1) % group) % group;
  const auto groups = at::constant_pad_nd(weight, {0, missing, 0, wide - outputs}).view(at::kInt);
  return groups.view({wide / panel, panel, groups.size(1)}).transpose(1, 2).contiguous();
}

// Calls prepare(begin, end) for ranges of rows and then multiply(begin, end, first output, number of outputs), in
// parallel.
template <class Prepare, class Multiply>
void each_block(int64_t rows, int64_t outputs, const Prepare& prepare, const Multiply& multiply) {
  const int threads = at::get_num_threads();
  if (rows > block_rows || threads == 1) {
    cuda::parallel_for(threads, rows, block_rows, [&](int64_t begin, int64_t end, int) {
      prepare(begin, end);
      multiply(begin, end, 0, outputs);
    });
    return;
  }
  prepare(0, rows);  // few rows: threads divide the outputs
  cuda::parallel_for(threads, panel_outputs(outputs) / product_panel, 1, [&](int64_t begin, int64_t end, int) {
    multiply(0, rows, begin * product_panel, std::min(end * product_panel, outputs) - begin * product_panel);
  });
}

}  // namespace

Product::By Product::fastest(Precision precision) {
  static const bool amx = has_amx();
  return amx && precision == Precision::bf16 ? By::onednn : By::kernels;
}

Product::Product(const at::Tensor& weight, const at::Tensor& bias, Precision precision, By by)
    : precision_(precision), by_(by), inputs_(weight.size(1)), outputs_(weight.size(0)) {
  const auto dense = weight.detach().contiguous();
  require(precision != Precision::bf16 || cuda::best_isa() == cuda::Isa::v4,
          "precision is bf16, which requires a CPU with AVX-512; this CPU supports int8 and fp32");
  if (by == By::onednn) {
    weight_ = onednn_weight(dense.to(at::kBFloat16));
    if (bias.defined()) bias_ = bias.detach().to(at::kBFloat16, false, true);
    return;
  }
  bias_ = at::zeros({2, panel_outputs(outputs_)}, at::kFloat);
  if (bias.defined()) bias_[0].narrow(0, 0, outputs_).copy_(bias.detach());
  switch (precision) {
    case Precision::fp32:
      weight_ = panels_of(dense, fp32_panel);
      break;
    case Precision::bf16: {
      const auto rounded = dense.to(at::kBFloat16);
      weight_ =
          product_kernels().bf16 ? panels_of(rounded, product_panel) : panels_of(rounded.to(at::kFloat), fp32_panel);
      break;
    }
    case Precision::int8:
      lay_out_int8(dense);
  }
}

void Product::lay_out_int8(const at::Tensor& dense) {
  const auto values = at::empty({outputs_, inputs_}, at::kChar);
  sums_.resize(bias_.size(1));
  const float* from = dense.const_data_ptr<float>();
  auto* to = values.data_ptr<int8_t>();
  float* scales = bias_.data_ptr<float>() + bias_.size(1);
  const auto limit = static_cast<float>(product_kernels().largest_weight);
  for (int64_t j = 0; j < outputs_; j++) {
    const float* row = from + j * inputs_;
    float largest = 0;
    for (int64_t k = 0; k < inputs_; k++) largest = std::max(largest, std::abs(row[k]));
    const float scale = largest > 0 ? limit / largest : 1;
    for (int64_t k = 0; k < inputs_; k++) {
      const auto rounded = static_cast<int32_t>(std::lrint(row[k] * scale));
      to[j * inputs_ + k] = static_cast<int8_t>(rounded);
      sums_[j] += rounded;
    }
    scales[j] = 1 / scale;
  }
  weight_ = panels_of(values, product_panel);
}

at::Tensor Product::by_onednn(const at::Tensor& x, const char* activation, const char* algorithm) const {
  const ProfilerRange range("linear");
  const int64_t rows = x.size(0);
  const auto bias = bias_.defined() ? std::optional(bias_) : std::nullopt;
  auto y = at::empty({rows, outputs_}, x.options());
  // At least two ranges: for a single one oneDNN would start threads itself and divide sums by their number.
  cuda::parallel_for(
      at::get_num_threads(), std::max(rows, 2 * onednn_rows), onednn_rows, [&](int64_t begin, int64_t end, int) {
        const int64_t some = std::min(end, rows) - begin;
        if (some <= 0) return;
        const c10::InferenceMode inference;  // inference mode is per thread
        const auto block = at::constant_pad_nd(x.narrow(0, begin, some), {0, 0, 0, onednn_rows - some});
        y.narrow(0, begin, some).copy_(onednn_linear(block, weight_, bias, activation, algorithm).narrow(0, 0, some));
      });
  return y;
}

at::Tensor Product::by_fp32(const at::Tensor& x, bool with_gelu) const {
  auto y = at::empty({x.size(0), outputs_}, at::kFloat);
  const auto* panels = static_cast<const float*>(weight_.const_data_ptr());
  const Fp32Weights weights = {inputs_, outputs_, panels, bias_.const_data_ptr<float>()};
  const float* from = x.const_data_ptr<float>();
  each_block(
      x.size(0), outputs_, [](int64_t, int64_t) {},
      [&](int64_t begin, int64_t end, int64_t first, int64_t count) {
        product_kernels().fp32(from + begin * inputs_, end - begin, weights, first, count, with_gelu,
                               y.data_ptr<float>() + begin * outputs_);
      });
  return y;
}

at::Tensor Product::by_bf16(const at::Tensor& x, bool with_gelu) const {
  if (!product_kernels().bf16) return by_fp32(x.to(at::kFloat), with_gelu).to(at::kBFloat16);
  const int64_t wide = bf16_inputs(inputs_);
  const auto filled = wide == inputs_ ? x : at::constant_pad_nd(x, {0, wide - inputs_});
  auto y = at::empty({x.size(0), outputs_}, at::kBFloat16);
  const auto* panels = static_cast<const uint16_t*>(weight_.const_data_ptr());
  const Bf16Weights weights = {inputs_, outputs_, panels, bias_.const_data_ptr<float>()};
  const auto* from = static_cast<const uint16_t*>(filled.const_data_ptr());
  auto* to = static_cast<uint16_t*>(y.data_ptr());
  each_block(
      x.size(0), outputs_, [](int64_t, int64_t) {},
      [&](int64_t begin, int64_t end, int64_t first, int64_t count) {
        product_kernels().bf16(from + begin * wide, end - begin, weights, first, count, with_gelu,
                               to + begin * outputs_);
      });
  return y;
}

at::Tensor Product::by_int8(const at::Tensor& x, bool with_gelu) const {
  const int64_t rows = x.size(0), wide = int8_inputs(inputs_);
  const auto values = at::empty({rows, wide}, at::kByte), zeros = at::empty({rows}, at::kInt);
  const auto inverse_scales = at::empty({rows}, at::kFloat);
  auto y = at::empty({rows, outputs_}, at::kFloat);
  const float *bias = bias_.const_data_ptr<float>(), *from = x.const_data_ptr<float>();
  const auto* panels = static_cast<const int8_t*>(weight_.const_data_ptr());
  const Int8Weights weights = {inputs_, outputs_, panels, sums_.data(), bias + bias_.size(1), bias};
  each_block(
      rows, outputs_,
      [&](int64_t begin, int64_t end) {
        product_kernels().round_rows(from + begin * inputs_, end - begin, inputs_,
                                     values.data_ptr<uint8_t>() + begin * wide,
                                     inverse_scales.data_ptr<float>() + begin, zeros.data_ptr<int32_t>() + begin);
      },
      [&](int64_t begin, int64_t end, int64_t first, int64_t count) {
        const Int8Rows some = {end - begin, values.const_data_ptr<uint8_t>() + begin * wide,
                               inverse_scales.const_data_ptr<float>() + begin, zeros.const_data_ptr<int32_t>() + begin};
        product_kernels().int8(some, weights, first, count, with_gelu, y.data_ptr<float>() + begin * outputs_);
      });
  return y;
}

at::Tensor Product::by_kernels(const at::Tensor& x, bool with_gelu) const {
  const ProfilerRange range("linear");
  switch (precision_) {
    case Precision::bf16:
      return by_bf16(x, with_gelu);
    case Precision::int8:
      return by_int8(x, with_gelu);
    default:
      return by_fp32(x, with_gelu);
  }
}

at::Tensor Product::operator()(const at::Tensor& x) const {
  return by_ == By::onednn ? by_onednn(x, "none", "") : by_kernels(x, false);
}

at::Tensor Product::activated(const at::Tensor& x, Activation kind) const {
  const bool library = by_ == By::onednn;
  if (kind == Activation::gelu) return library ? by_onednn(x, "gelu", "none") : by_kernels(x, true);
  if (library && kind == Activation::gelu_tanh) return by_onednn(x, "gelu", "tanh");
  if (library && kind == Activation::relu) return by_onednn(x, "relu", "");
  return activation((*this)(x), kind);
}

}  // namespace sartor::transformer
