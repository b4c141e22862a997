#include "models/bert/product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "core/isa.h"
#include "core/parallel_for.h"
#include "models/bert/ops.h"
#include "models/bert/product_kernels.h"
#include "models/tensors/onednn.h"
#include "schema/require.h"

namespace sartor::bert {
namespace {

// oneDNN takes other kernels for fewer rows, whose sums are rounded in another order (measured).
constexpr int64_t fewest_rows = 16;

constexpr int64_t block_rows = 120;  // of a product's input that stay in the second cache while all outputs go by

// Without AVX-512 oneDNN has no bf16 and takes 1.3 times as long as our kernels for fp32 (measured on Zen 3).
bool by_library(InferencePrecision precision) {
  return precision != InferencePrecision::int8 && cuda::best_isa() == cuda::Isa::v4;
}

// Calls prepare(begin, end) for rows and, after it, multiply(begin, end, first output, their number), shared by
// threads.
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
  prepare(0, rows);  // few rows: threads share the outputs
  cuda::parallel_for(threads, panel_outputs(outputs) / product_panel, 1, [&](int64_t begin, int64_t end, int) {
    multiply(0, rows, begin * product_panel, std::min(end * product_panel, outputs) - begin * product_panel);
  });
}

}  // namespace

const ProductKernels& product_kernels() {
  static const ProductKernels& best = [&]() -> const ProductKernels& {
    if (cuda::best_isa() != cuda::Isa::v4) return v3::product_kernels;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vnni") ? v4::product_kernels_vnni : v4::product_kernels;
  }();
  return best;
}

Product::Product(const at::Tensor& weight, const at::Tensor& bias, InferencePrecision precision)
    : precision_(precision), inputs_(weight.size(1)), outputs_(weight.size(0)) {
  const auto dense = weight.detach().contiguous();
  require(precision != InferencePrecision::bf16 || by_library(precision),
          "precision is bf16, which needs a CPU with AVX-512; this one has int8 and fp32");
  if (by_library(precision)) {
    const auto type = precision == InferencePrecision::bf16 ? at::kBFloat16 : at::kFloat;
    weight_ = onednn_weight(dense.to(type));
    bias_ = bias.detach().to(type, false, true);
    return;
  }
  const int64_t wide = panel_outputs(outputs_);
  bias_ = at::zeros({2, wide}, at::kFloat);
  bias_[0].narrow(0, 0, outputs_).copy_(bias.detach());
  if (precision == InferencePrecision::fp32) {
    const auto filled = at::constant_pad_nd(dense, {0, 0, 0, wide - outputs_});
    weight_ = filled.view({wide / fp32_panel, fp32_panel, inputs_}).transpose(1, 2).contiguous();
  } else {
    round_weight(dense);
  }
}

void Product::round_weight(const at::Tensor& dense) {
  const int64_t groups = int8_inputs(inputs_) / int8_group, wide = panel_outputs(outputs_);
  weight_ = at::zeros({wide / product_panel, groups, product_panel, int8_group}, at::kChar);
  sums_.resize(wide);
  const float* from = dense.const_data_ptr<float>();
  auto* panels = weight_.data_ptr<int8_t>();
  float* scales = bias_.data_ptr<float>() + wide;
  const auto limit = static_cast<float>(product_kernels().largest_weight);
  for (int64_t j = 0; j < outputs_; j++) {
    const float* row = from + j * inputs_;
    float largest = 0;
    for (int64_t k = 0; k < inputs_; k++) largest = std::max(largest, std::abs(row[k]));
    const float scale = largest > 0 ? limit / largest : 1;
    for (int64_t k = 0; k < inputs_; k++) {
      const auto rounded = static_cast<int32_t>(std::lrint(row[k] * scale));
      const int64_t panel = j / product_panel, group = k / int8_group;
      panels[((panel * groups + group) * product_panel + j % product_panel) * int8_group + k % int8_group] =
          static_cast<int8_t>(rounded);
      sums_[j] += rounded;
    }
    scales[j] = 1 / scale;
  }
}

at::Tensor Product::by_onednn(const at::Tensor& x, const char* activation, const char* algorithm) const {
  const int64_t rows = x.size(0), missing = std::max<int64_t>(fewest_rows - rows, 0);
  const auto filled = missing == 0 ? x : at::cat({x, at::zeros({missing, inputs_}, x.options())});
  const auto y = onednn_linear(filled, weight_, bias_, activation, algorithm);
  return missing == 0 ? y : y.narrow(0, 0, rows).contiguous();
}

at::Tensor Product::by_fp32(const at::Tensor& x, bool with_gelu) const {
  auto y = at::empty({x.size(0), outputs_}, at::kFloat);
  const Fp32Weights weights = {inputs_, outputs_, weight_.const_data_ptr<float>(), bias_.const_data_ptr<float>()};
  const float* from = x.const_data_ptr<float>();
  each_block(
      x.size(0), outputs_, [](int64_t, int64_t) {},
      [&](int64_t begin, int64_t end, int64_t first, int64_t count) {
        product_kernels().fp32(from + begin * inputs_, end - begin, weights, first, count, with_gelu,
                               y.data_ptr<float>() + begin * outputs_);
      });
  return y;
}

at::Tensor Product::by_int8(const at::Tensor& x, bool with_gelu) const {
  const int64_t rows = x.size(0), wide = int8_inputs(inputs_);
  const auto values = at::empty({rows, wide}, at::kByte), zeros = at::empty({rows}, at::kInt);
  const auto inverse_scales = at::empty({rows}, at::kFloat);
  auto y = at::empty({rows, outputs_}, at::kFloat);
  const float *bias = bias_.const_data_ptr<float>(), *from = x.const_data_ptr<float>();
  const Int8Weights weights = {inputs_, outputs_, weight_.const_data_ptr<int8_t>(), sums_.data(), bias + bias_.size(1),
                               bias};
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
  return precision_ == InferencePrecision::int8 ? by_int8(x, with_gelu) : by_fp32(x, with_gelu);
}

at::Tensor Product::operator()(const at::Tensor& x) const {
  return by_library(precision_) ? by_onednn(x, "none", "") : by_kernels(x, false);
}

at::Tensor Product::activated(const at::Tensor& x, Activation kind) const {
  const bool library = by_library(precision_);
  if (kind == Activation::gelu) return library ? by_onednn(x, "gelu", "none") : by_kernels(x, true);
  if (library && kind == Activation::gelu_tanh) return by_onednn(x, "gelu", "tanh");
  if (library && kind == Activation::relu) return by_onednn(x, "relu", "");
  return activation((*this)(x), kind);
}

}  // namespace sartor::bert
