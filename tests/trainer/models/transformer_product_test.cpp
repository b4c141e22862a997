// Compares products for inference with libtorch's and with plain loops, on every instruction set of this CPU.
#include "transformer/product_kernels.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "trainer/models/transformer_support.h"

namespace sartor::transformer {
namespace {

using namespace testing;
using namespace cuda;

std::vector<const ProductKernels*> product_tables() {
  return runnable<ProductKernels>(
      {&v3::product_kernels, &v4::product_kernels, &v4_vnni::product_kernels, &v4_bf16::product_kernels});
}

TEST(ProductKernels, Fp32EqualsLibtorchsAndARowDependsOnItselfAlone) {
  at::manual_seed(7);
  for (const auto& [rows, inputs, outputs] : {std::tuple{1, 1, 1},
                                              {2, 3, 31},
                                              {3, 5, 40},
                                              {4, 5, 40},
                                              {5, 5, 40},
                                              {6, 5, 40},
                                              {7, 5, 40},
                                              {8, 5, 40},
                                              {9, 5, 40},
                                              {10, 5, 40},
                                              {11, 5, 40},
                                              {12, 5, 40},
                                              {13, 64, 33},
                                              {25, 101, 96}}) {
    const int64_t wide = panel_outputs(outputs);
    const auto x = at::randn({rows, inputs}), weight = at::randn({outputs, inputs}), bias = at::randn({outputs});
    const auto panels = at::constant_pad_nd(weight, {0, 0, 0, wide - outputs})
                            .view({wide / product_panel, product_panel, inputs})
                            .transpose(1, 2)
                            .contiguous();
    const auto biases = at::constant_pad_nd(bias, {0, wide - outputs});
    const Fp32Weights weights = {inputs, outputs, panels.const_data_ptr<float>(), biases.const_data_ptr<float>()};
    const auto expected = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
    for (const auto* kernels : product_tables()) {
      for (const bool with_gelu : {false, true}) {
        auto y = at::full({rows, outputs}, NAN), alone = at::full({rows, outputs}, NAN);
        kernels->fp32(x.const_data_ptr<float>(), rows, weights, 0, outputs, with_gelu, y.data_ptr<float>());
        EXPECT_TRUE(at::allclose(y.to(at::kDouble), with_gelu ? at::gelu(expected) : expected, 1e-5, 1e-5));
        for (int64_t i = 0; i < rows; i++) {
          kernels->fp32(x[i].const_data_ptr<float>(), 1, weights, 0, outputs, with_gelu, alone[i].data_ptr<float>());
        }
        EXPECT_TRUE(at::equal(y, alone));
      }
    }
  }
}

struct Int8Case {
  int64_t rows, inputs, outputs;
};

// Random operands with weights of at most `largest`; the first row and output have the largest possible sum.
struct Int8Operands {
  Int8Case of;
  std::vector<uint8_t> a;
  std::vector<int8_t> b;
  at::Tensor panels;
  std::vector<int32_t> sums, zeros;
  std::vector<float> scales, bias, inverse;

  Int8Operands(const Int8Case& of_case, int64_t largest) : of(of_case) {
    const auto [rows, inputs, outputs] = of;
    uint64_t state = 9;
    const auto draw = [&](int64_t range) {
      state = state * 6364136223846793005 + 1442695040888963407;
      return static_cast<int64_t>((state >> 33) % range);
    };
    const int64_t wide = int8_inputs(inputs), out_wide = panel_outputs(outputs);
    a.resize(rows * wide), b.resize(inputs * outputs);
    sums.resize(out_wide), scales.resize(out_wide), bias.resize(out_wide), zeros.resize(rows), inverse.resize(rows);
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t k = 0; k < inputs; k++) a[i * wide + k] = static_cast<uint8_t>(i == 0 ? 255 : draw(256));
      zeros[i] = static_cast<int32_t>(draw(256)), inverse[i] = 0.5f;
    }
    for (auto& value : b) value = static_cast<int8_t>(draw(2 * largest + 1) - largest);
    for (int64_t k = 0; k < inputs; k++) b[k] = static_cast<int8_t>(largest);
    panels = at::zeros({out_wide / product_panel, wide / int8_group, product_panel, int8_group}, at::kChar);
    for (int64_t j = 0; j < outputs; j++) {
      scales[j] = 0.01f * static_cast<float>(j + 1);
      bias[j] = static_cast<float>(draw(9));
      for (int64_t k = 0; k < inputs; k++) {
        panels.index_put_({j / product_panel, k / int8_group, j % product_panel, k % int8_group}, b[j * inputs + k]);
        sums[j] += b[j * inputs + k];
      }
    }
  }

  std::vector<float> product(const ProductKernels& kernels, bool with_gelu, bool in_pairs = false) const {
    std::vector<float> y(of.rows / (in_pairs ? 2 : 1) * of.outputs, NAN);
    kernels.int8({of.rows, a.data(), inverse.data(), zeros.data(), in_pairs},
                 {of.inputs, of.outputs, panels.const_data_ptr<int8_t>(), sums.data(), scales.data(), bias.data()}, 0,
                 of.outputs, with_gelu, y.data());
    return y;
  }
};

const Int8Case int8_cases[] = {{1, 1, 1},   {2, 3, 31},  {3, 5, 40},   {4, 5, 40},    {5, 5, 40},
                               {6, 5, 40},  {7, 5, 40},  {8, 5, 40},   {9, 5, 40},    {10, 5, 40},
                               {11, 5, 40}, {12, 5, 40}, {13, 64, 33}, {25, 101, 96}, {31, 384, 64}};

TEST(ProductKernels, Int8EqualsADoubleLoop) {
  for (const auto* kernels : product_tables()) {
    for (const auto& of : int8_cases) {
      const Int8Operands operands(of, kernels->largest_weight);
      const auto y = operands.product(*kernels, false);
      for (int64_t i = 0; i < of.rows; i++) {
        for (int64_t j = 0; j < of.outputs; j++) {
          int64_t sum = 0;
          for (int64_t k = 0; k < of.inputs; k++) {
            sum += (int64_t{operands.a[i * int8_inputs(of.inputs) + k]} - operands.zeros[i]) *
                   operands.b[j * of.inputs + k];
          }
          const double expected = static_cast<double>(sum) * 0.5 * operands.scales[j] + operands.bias[j];
          ASSERT_NEAR(y[i * of.outputs + j], expected, 1e-6 * std::abs(expected) + 1e-5) << i << ", " << j;
        }
      }
    }
  }
}

// 32-bit sums are exact, so that results do not depend on the instruction set.
TEST(ProductKernels, Int8HasTheSameBitsOnEachInstructionSet) {
  const auto tables = product_tables();
  for (const auto& of : int8_cases) {
    const Int8Operands operands(of, v3::product_kernels.largest_weight);
    for (const auto& [with_gelu, in_pairs] : {std::pair(false, false), {true, false}, {false, true}, {true, true}}) {
      if (in_pairs && of.rows % 2 == 1) continue;
      const auto expected = operands.product(v3::product_kernels, with_gelu, in_pairs);
      for (const auto* kernels : tables) {
        EXPECT_EQ(operands.product(*kernels, with_gelu, in_pairs), expected) << of.rows << " rows";
      }
    }
  }
}

TEST(ProductKernels, Bf16EqualsLibtorchsAndARowDependsOnItselfAlone) {
  at::manual_seed(7);
  for (const auto* kernels : product_tables()) {
    if (!kernels->bf16) continue;
    for (const auto& [rows, inputs, outputs] : {std::tuple{1, 2, 1},
                                                {2, 4, 31},
                                                {3, 6, 40},
                                                {4, 6, 40},
                                                {5, 6, 40},
                                                {6, 6, 40},
                                                {7, 6, 40},
                                                {8, 6, 40},
                                                {9, 6, 40},
                                                {10, 6, 40},
                                                {11, 6, 40},
                                                {12, 6, 40},
                                                {13, 64, 33},
                                                {25, 102, 96}}) {
      const int64_t wide = panel_outputs(outputs);
      const auto x = at::randn({rows, inputs}).to(at::kBFloat16),
                 weight = at::randn({outputs, inputs}).to(at::kBFloat16);
      const auto bias = at::randn({outputs});
      const auto panels = at::constant_pad_nd(weight, {0, 0, 0, wide - outputs})
                              .view({wide / product_panel, product_panel, inputs / bf16_group, bf16_group})
                              .transpose(1, 2)
                              .contiguous();
      const auto biases = at::constant_pad_nd(bias, {0, wide - outputs});
      const Bf16Weights weights = {inputs, outputs, static_cast<const uint16_t*>(panels.const_data_ptr()),
                                   biases.const_data_ptr<float>()};
      const auto expected = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
      for (const bool with_gelu : {false, true}) {
        const auto product = [&](const at::Tensor& some) {
          auto y = at::full({some.size(0), outputs}, NAN, at::kBFloat16);
          kernels->bf16(static_cast<const uint16_t*>(some.const_data_ptr()), some.size(0), weights, 0, outputs,
                        with_gelu, static_cast<uint16_t*>(y.data_ptr()));
          return y;
        };
        const auto y = product(x);
        // half a unit in the last place of bf16 (8 bits), plus the rounding of fp32 sums
        EXPECT_TRUE(at::allclose(y.to(at::kDouble), with_gelu ? at::gelu(expected) : expected, 1.0 / 256, 1e-4));
        for (int64_t i = 0; i < rows; i++) EXPECT_TRUE(at::equal(product(x.narrow(0, i, 1)), y.narrow(0, i, 1)));
      }
    }
  }
}

TEST(ProductKernels, RowsComeBackWithinHalfAStep) {
  at::manual_seed(8);
  for (const int64_t columns : {1, 7, 8, 33, 384}) {
    auto x = at::randn({6, columns});
    x[1].zero_();
    x[2] = x[2].abs() + 1;  // the range must include 0
    x[3] = -x[3].abs();
    x[4] *= 1e-30;
    x[5] *= 1e30;
    const int64_t wide = int8_inputs(columns);
    std::vector<uint8_t> values(6 * wide);
    std::vector<float> inverse(6);
    std::vector<int32_t> zeros(6);
    for (const auto* kernels : product_tables()) {
      kernels->round_rows(x.data_ptr<float>(), 6, columns, values.data(), inverse.data(), zeros.data());
      for (int64_t i = 0; i < 6; i++) {
        for (int64_t k = 0; k < columns; k++) {
          const float back = static_cast<float>(values[i * wide + k] - zeros[i]) * inverse[i];
          // half a step by rounding of the value, and half a step by rounding of the zero at the ends of the range
          ASSERT_NEAR(back, x[i][k].item<float>(), 1.01f * inverse[i]) << i << ", " << k;
        }
      }
    }
  }
}

}  // namespace
}  // namespace sartor::transformer
