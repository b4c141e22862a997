// Operations on every instruction set of this CPU against compositions of libtorch's, values and gradients.
#include "models/transformer/ops.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <vector>

#include "core/isa.h"
#include "trainer/models/bert_support.h"
#include "transformer/kernels.h"
#include "transformer/product_kernels.h"

namespace sartor::transformer {
namespace {

using namespace cuda;  // the inner loops

using bert::testing::largest_difference;

at::Tensor random(at::IntArrayRef shape) { return at::randn(shape).requires_grad_(); }

// The gradients of sum(weights * f()) by each input, with weights that differ everywhere.
template <class F> std::vector<at::Tensor> gradients(const std::vector<at::Tensor>& inputs, const F& f) {
  for (const auto& input : inputs) input.mutable_grad().reset();
  const auto out = f();
  (out * bert::testing::wave("probe", out.numel(), 0.9).view_as(out).to(out.scalar_type())).sum().backward();
  std::vector<at::Tensor> found = {out.detach()};
  for (const auto& input : inputs) found.push_back(input.grad().clone());
  return found;
}

template <class F, class G>
void expect_alike(const std::vector<at::Tensor>& inputs, const F& f, const G& g, double tolerance) {
  const auto found = gradients(inputs, f), expected = gradients(inputs, g);
  for (size_t i = 0; i < found.size(); i++) {
    const double scale = expected[i].abs().max().template item<double>() + 0.1;
    EXPECT_LT(largest_difference(found[i], expected[i]), tolerance * scale) << (i == 0 ? "value" : "gradient ") << i;
  }
}

TEST(Linear, HasLibtorchsValuesAndGradients) {
  at::manual_seed(1);
  for (const auto& [rows, in, out] : {std::tuple{1, 1, 1}, {3, 7, 5}, {16, 24, 40}, {17, 64, 33}, {130, 96, 2}}) {
    const auto x = random({rows, in}), weight = random({out, in}), bias = random({out});
    expect_alike(
        {x, weight, bias}, [&] { return linear(x, weight, bias, at::kFloat); },
        [&] { return at::linear(x, weight, bias); }, 1e-5);
  }
  const auto x = at::randn({5, 4});  // without a gradient of its own, and a frozen weight
  const auto weight = at::randn({3, 4}), bias = random({3});
  expect_alike(
      {bias}, [&] { return linear(x, weight, bias, at::kFloat); }, [&] { return at::linear(x, weight, bias); }, 1e-5);
}

TEST(Linear, NoRowsGiveNoRows) {
  for (const auto compute : {at::kFloat, at::kBFloat16}) {
    const auto x = random({0, 6}), weight = random({4, 6}), bias = random({4});
    const auto out = add_norm(linear(x, weight, bias, compute), {}, at::ones({4}), at::zeros({4}), 1e-5, 0);
    EXPECT_EQ(out.sizes(), (std::vector<int64_t>{0, 4}));
    out.sum().backward();
    EXPECT_EQ(weight.grad().abs().sum().item<float>(), 0);
    EXPECT_EQ(bias.grad().abs().sum().item<float>(), 0);
  }
}

TEST(AddNorm, HasLibtorchsValuesAndGradients) {
  at::manual_seed(2);
  for (const auto& [rows, columns] : {std::pair{1, 1}, {5, 3}, {17, 16}, {33, 37}, {100, 128}}) {
    const auto x = random({rows, columns}), residual = random({rows, columns});
    const auto weight = random({columns}), bias = random({columns});
    const double eps = 1e-3;  // a row of one column has no variance
    expect_alike(
        {x, residual, weight, bias}, [&] { return add_norm(x, residual, weight, bias, eps, 0); },
        [&] { return at::layer_norm(x + residual, {columns}, weight, bias, eps); }, 2e-5);
    expect_alike(
        {x, weight, bias}, [&] { return add_norm(x, {}, weight, bias, eps, 0); },
        [&] { return at::layer_norm(x, {columns}, weight, bias, eps); }, 2e-5);
  }
}

// What was dropped shows where the norm of a zero residual is taken away: the gradient by x is 0 there.
TEST(AddNorm, DropsTheSameElementsForwardAndBackward) {
  at::manual_seed(3);
  const auto x = random({200, 64}), weight = at::ones({64}), bias = at::zeros({64});
  const auto residual = random({200, 64});
  const auto out = add_norm(x, residual, weight, bias, 1e-5, 0.25);
  (out * at::randn_like(out)).sum().backward();
  const auto dropped = x.grad().eq(0);
  const double share = dropped.to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(share, 0.25, 4 * std::sqrt(0.25 * 0.75 / (200 * 64)));  // four standard deviations
  const auto again = at::layer_norm((x / 0.75).masked_fill(dropped, 0) + residual, {64}, weight, bias, 1e-5);
  EXPECT_LT(largest_difference(out, again), 1e-5);
  EXPECT_LT(largest_difference(x.grad(), (residual.grad() / 0.75).masked_fill(dropped, 0)), 1e-6);
}

struct Shape {
  std::vector<int64_t> q_lengths, k_lengths;
  int64_t heads, d;
};
AttentionRows offsets(const Shape& shape) {
  AttentionRows rows = {{0}, {0}};
  for (const auto length : shape.q_lengths) rows.q_offsets.push_back(rows.q_offsets.back() + length);
  for (const auto length : shape.k_lengths) rows.k_offsets.push_back(rows.k_offsets.back() + length);
  return rows;
}

TEST(Attend, PackedAndSdpaEqualEager) {
  at::manual_seed(4);
  for (const auto& shape :
       {Shape{{1}, {1}, 1, 1}, Shape{{3, 1, 16}, {3, 1, 16}, 2, 8}, Shape{{7, 65, 130}, {7, 65, 130}, 3, 20},
        Shape{{1, 1, 1}, {5, 17, 64}, 2, 16}, Shape{{31, 33}, {31, 33}, 4, 32}, Shape{{200}, {200}, 1, 64}}) {
    const auto rows = offsets(shape);
    const int64_t hidden = shape.heads * shape.d;
    const auto q = random({rows.q_offsets.back(), hidden}), k = random({rows.k_offsets.back(), hidden}),
               v = random({rows.k_offsets.back(), hidden});
    const auto by = [&](AttentionKind kind) {
      return [&, kind] { return attend(q, k, v, rows, shape.heads, 0, kind).out; };
    };
    expect_alike({q, k, v}, by(AttentionKind::packed), by(AttentionKind::eager), 2e-5);
    expect_alike({q, k, v}, by(AttentionKind::sdpa), by(AttentionKind::eager), 2e-5);
  }
}

TEST(Attend, LargeScoresDoNotOverflow) {
  const auto q = at::full({4, 8}, 60.0f), k = at::randn({4, 8}) * 60, v = at::randn({4, 8});
  const AttentionRows rows = {{0, 4}, {0, 4}};
  const auto packed = attend(q, k, v, rows, 1, 0, AttentionKind::packed).out;
  EXPECT_LT(largest_difference(packed, attend(q, k, v, rows, 1, 0, AttentionKind::eager).out), 1e-4);
}

TEST(Attend, TakesViewsAsTheyLie) {
  const auto qkv = at::randn({30, 3 * 24});
  const auto parts = qkv.chunk(3, 1);
  const AttentionRows rows = {{0, 11, 30}, {0, 11, 30}};
  const auto copied =
      attend(parts[0].contiguous(), parts[1].contiguous(), parts[2].contiguous(), rows, 3, 0, AttentionKind::packed);
  EXPECT_TRUE(attend(parts[0], parts[1], parts[2], rows, 3, 0, AttentionKind::packed).out.equal(copied.out));
}

// With v = identity an output row is the row of weights, so that what was dropped can be read off and the gradients
// checked against a product with the same mask.
TEST(Attend, DropsTheSameWeightsForwardAndBackward) {
  at::manual_seed(5);
  constexpr int64_t n = 48;
  const auto q = random({n, n}), k = random({n, n});
  const auto v = at::eye(n).requires_grad_();
  const AttentionRows rows = {{0, n}, {0, n}};
  const auto out = attend(q, k, v, rows, 1, 0.2, AttentionKind::packed).out;
  const auto kept = out.detach().ne(0).to(at::kFloat);
  EXPECT_NEAR(kept.mean().item<double>(), 0.8, 4 * std::sqrt(0.2 * 0.8 / (n * n)));
  const auto probe = at::randn_like(out);
  (out * probe).sum().backward();
  const auto by_packed = std::vector{q.grad().clone(), k.grad().clone(), v.grad().clone()};
  for (const auto& input : {q, k, v}) input.mutable_grad().reset();
  const auto weights = at::softmax(at::matmul(q, k.t()) / std::sqrt(double(n)), -1) * kept / 0.8;
  const auto expected = at::matmul(weights, v);
  EXPECT_LT(largest_difference(out, expected), 1e-5);
  (expected * probe).sum().backward();
  EXPECT_LT(largest_difference(by_packed[0], q.grad()), 1e-5);
  EXPECT_LT(largest_difference(by_packed[1], k.grad()), 1e-5);
  EXPECT_LT(largest_difference(by_packed[2], v.grad()), 1e-5);
}

// With q = 0 and v = identity every weight is 1/n or dropped. (calls, sequences, heads, n, n) of 1 where it was kept.
at::Tensor kept_weights(int64_t calls, int64_t sequences, int64_t heads, int64_t n, double probability) {
  const auto zeros = at::zeros({sequences * n, heads * n}), v = at::eye(n).repeat({sequences, heads});
  AttentionRows rows;
  for (int64_t b = 0; b <= sequences; b++) rows.q_offsets.push_back(b * n);
  rows.k_offsets = rows.q_offsets;
  std::vector<at::Tensor> kept;
  for (int64_t call = 0; call < calls; call++) {
    const auto out = attend(zeros, zeros, v, rows, heads, probability, AttentionKind::packed).out;
    kept.push_back(out.view({sequences, n, heads, n}).transpose(1, 2).ne(0));
  }
  return at::stack(kept).to(at::kDouble);
}

// Elements a step apart along any one dimension are dropped independently of each other.
void expect_independent(const at::Tensor& kept, double probability) {
  const auto centred = (kept - (1 - probability)) / std::sqrt(probability * (1 - probability));
  EXPECT_LT(std::abs(centred.mean().item<double>()), 5 / std::sqrt(centred.numel()));
  for (int64_t dimension = 0; dimension < kept.dim(); dimension++) {
    for (const int64_t step : {1, 2, 4, 8}) {
      const int64_t left = kept.size(dimension) - step;
      if (left < 1) continue;
      const auto products = centred.narrow(dimension, 0, left) * centred.narrow(dimension, step, left);
      EXPECT_LT(std::abs(products.mean().item<double>()), 5 / std::sqrt(products.numel()))
          << "dimension " << dimension << ", " << step << " apart";
    }
  }
}

TEST(Attend, DropsEachWeightByItself) {
  at::manual_seed(8);
  expect_independent(kept_weights(10, 9, 12, 48, 0.1), 0.1);
}

TEST(AddNorm, DropsEachElementByItself) {
  at::manual_seed(9);
  std::vector<at::Tensor> kept;  // of a row of ones and zeros, those above its mean
  for (int call = 0; call < 10; call++) {
    kept.push_back(add_norm(at::ones({600, 96}), {}, at::ones({96}), at::zeros({96}), 1e-5, 0.3).gt(0));
  }
  expect_independent(at::stack(kept).to(at::kDouble), 0.3);
}

// ---- the kernels of each instruction set, against each other and a plain loop ----

std::vector<const TransformerKernels*> bert_tables() {
  std::vector<const TransformerKernels*> tables = {&v3::transformer_kernels};
  if (cuda::supported(cuda::Isa::v4)) tables.push_back(&v4::transformer_kernels);
  return tables;
}

TEST(TransformerKernels, AttentionOfEachInstructionSet) {
  at::manual_seed(6);
  for (const auto* kernels : bert_tables()) {
    for (const auto& [q_rows, k_rows, d] : {std::tuple{1, 1, 1}, {7, 9, 5}, {65, 17, 16}, {70, 130, 33}, {5, 64, 64}}) {
      const auto q = at::randn({q_rows, d}), k = at::randn({k_rows, d}), v = at::randn({k_rows, d});
      auto out = at::full({q_rows, d}, NAN);
      std::vector<float> room(kernels->attention_scratch(k_rows, d, false) + 16);
      auto* scratch = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(room.data()) + 63) / 64 * 64);
      kernels->attention({.q = q.data_ptr(),
                          .k = k.data_ptr(),
                          .v = v.data_ptr(),
                          .q_stride = d,
                          .kv_stride = d,
                          .q_rows = q_rows,
                          .k_rows = k_rows,
                          .d = d,
                          .scale = 0.5f,
                          .dropout = {},
                          .store = Store::fp32,
                          .out = out.data_ptr(),
                          .out_stride = d,
                          .scratch = scratch});
      const auto expected = at::matmul(at::softmax(at::matmul(q, k.t()) * 0.5, -1), v);
      EXPECT_LT(largest_difference(out, expected), 2e-5);
    }
  }
}

TEST(TransformerKernels, Bf16RoundsToTheNearest) {
  at::manual_seed(7);
  const auto x = at::randn({9, 50}).to(at::kBFloat16), weight = at::randn({50}), bias = at::randn({50});
  const auto expected = at::layer_norm(x.to(at::kFloat), {50}, weight, bias, 1e-5);
  for (const auto* kernels : bert_tables()) {
    auto out = at::empty_like(x);
    kernels->normalise({.rows = 9,
                        .columns = 50,
                        .x = x.data_ptr(),
                        .weight = weight.data_ptr<float>(),
                        .bias = bias.data_ptr<float>(),
                        .eps = 1e-5f,
                        .store = Store::bf16,
                        .normalised = out.data_ptr()});
    // at most one rounding boundary apart from rounding libtorch's result
    EXPECT_LT(((out.to(at::kFloat) - expected).abs() / (expected.abs() + 1e-2)).max().item<double>(), 1.0 / 256 + 1e-3);
  }
}

std::vector<const ProductKernels*> product_tables() {
  std::vector<const ProductKernels*> tables = {&v3::product_kernels};
  if (cuda::supported(cuda::Isa::v4)) tables.push_back(&v4::product_kernels);
  if (cuda::supported(cuda::Isa::v4_vnni)) tables.push_back(&v4_vnni::product_kernels);
  if (cuda::supported(cuda::Isa::v4_bf16)) tables.push_back(&v4_bf16::product_kernels);
  return tables;
}

TEST(ProductKernels, Fp32EqualsLibtorchsAndARowDependsOnItselfAlone) {
  at::manual_seed(7);
  for (const auto& [rows, inputs, outputs] : {std::tuple{1, 1, 1}, {2, 3, 31}, {13, 64, 33}, {25, 101, 96}}) {
    const int64_t wide = panel_outputs(outputs);
    const auto x = at::randn({rows, inputs}), weight = at::randn({outputs, inputs}), bias = at::randn({outputs});
    const auto panels = at::constant_pad_nd(weight, {0, 0, 0, wide - outputs})
                            .view({wide / fp32_panel, fp32_panel, inputs})
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

// Random operands with weights of at most `largest`; the first row and output meet the largest sums.
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

  std::vector<float> product(const ProductKernels& kernels, bool with_gelu) const {
    std::vector<float> y(of.rows * of.outputs, NAN);
    kernels.int8({of.rows, a.data(), inverse.data(), zeros.data()},
                 {of.inputs, of.outputs, panels.const_data_ptr<int8_t>(), sums.data(), scales.data(), bias.data()}, 0,
                 of.outputs, with_gelu, y.data());
    return y;
  }
};

const Int8Case int8_cases[] = {{1, 1, 1}, {2, 3, 31}, {13, 64, 33}, {25, 101, 96}, {31, 384, 64}};

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

// Sums of 32 bits are exact: how an instruction set comes to them does not show.
TEST(ProductKernels, Int8HasTheSameBitsOnEachInstructionSet) {
  const auto tables = product_tables();
  for (const auto& of : int8_cases) {
    const Int8Operands operands(of, v3::product_kernels.largest_weight);
    for (const bool with_gelu : {false, true}) {
      const auto expected = operands.product(v3::product_kernels, with_gelu);
      for (const auto* kernels : tables) EXPECT_EQ(operands.product(*kernels, with_gelu), expected) << of.inputs;
    }
  }
}

TEST(ProductKernels, Bf16EqualsLibtorchsAndARowDependsOnItselfAlone) {
  at::manual_seed(7);
  for (const auto* kernels : product_tables()) {
    if (!kernels->bf16) continue;
    for (const auto& [rows, inputs, outputs] : {std::tuple{1, 2, 1}, {2, 4, 31}, {13, 64, 33}, {25, 102, 96}}) {
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
        // half a unit in the last place of bf16's 8 bits, and the rounding of fp32 sums
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
    x[2] = x[2].abs() + 1;  // 0 stays in the range
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
          // half a step from the value's rounding, half from that of the zero at the ends of the range
          ASSERT_NEAR(back, x[i][k].item<float>(), 1.01f * inverse[i]) << i << ", " << k;
        }
      }
    }
  }
}

}  // namespace
}  // namespace sartor::transformer
