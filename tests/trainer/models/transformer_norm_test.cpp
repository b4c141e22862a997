// Compares values and gradients of layer normalization with libtorch's and with plain loops, on every instruction set
// of this CPU.
#include "models/transformer/ops/norm.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <tuple>
#include <vector>

#include "trainer/models/transformer_support.h"
#include "transformer/norm_kernels.h"

namespace sartor::transformer {
namespace {

using namespace testing;

TEST(AddNorm, HasLibtorchsValuesAndGradients) {
  at::manual_seed(2);
  for (const auto& [rows, columns] : {std::pair{1, 1}, {5, 3}, {17, 16}, {33, 37}, {100, 128}}) {
    const auto x = random({rows, columns}), residual = random({rows, columns});
    const auto weight = random({columns}), bias = random({columns});
    const double eps = 1e-3;  // a row with one column has variance 0
    expect_alike(
        {x, residual, weight, bias}, [&] { return add_norm(x, residual, weight, bias, eps, 0); },
        [&] { return at::layer_norm(x + residual, {columns}, weight, bias, eps); }, 2e-5);
    expect_alike(
        {x, weight, bias}, [&] { return add_norm(x, {}, weight, bias, eps, 0); },
        [&] { return at::layer_norm(x, {columns}, weight, bias, eps); }, 2e-5);
  }
}

// Dropped elements are those with a gradient of 0 with respect to x.
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

TEST(AddNorm, DropsEachElementByItself) {
  at::manual_seed(9);
  std::vector<at::Tensor> kept;  // elements above the mean of a row of ones and zeros
  for (int call = 0; call < 10; call++) {
    kept.push_back(add_norm(at::ones({600, 96}), {}, at::ones({96}), at::zeros({96}), 1e-5, 0.3).gt(0));
  }
  expect_independent(at::stack(kept).to(at::kDouble), 0.3);
}

// Double loop for sums s of x (without dropout) and residual: the norm n and the gradients of <by_sum, s> + <by_norm,
// n>.
struct PlainNorm {
  at::Tensor sum, normalised, by_input, by_weight, by_bias;

  PlainNorm(const at::Tensor& s, const at::Tensor& weight, const at::Tensor& bias, double eps, const at::Tensor& by_s,
            const at::Tensor& by_n)
      : sum(s),
        normalised(at::empty_like(s)),
        by_input(by_s.clone()),
        by_weight(at::zeros_like(weight)),
        by_bias(at::zeros_like(bias)) {
    const auto x = s.accessor<double, 2>(), from = by_n.accessor<double, 2>();
    auto y = normalised.accessor<double, 2>(), d = by_input.accessor<double, 2>();
    const auto w = weight.accessor<double, 1>(), b = bias.accessor<double, 1>();
    auto dw = by_weight.accessor<double, 1>(), db = by_bias.accessor<double, 1>();
    const int64_t columns = s.size(1);
    for (int64_t r = 0; r < s.size(0); r++) {
      double mean = 0, variance = 0, first = 0, second = 0;
      for (int64_t c = 0; c < columns; c++) mean += x[r][c] / double(columns);
      for (int64_t c = 0; c < columns; c++) variance += (x[r][c] - mean) * (x[r][c] - mean) / double(columns);
      const double rstd = 1 / std::sqrt(variance + eps);
      for (int64_t c = 0; c < columns; c++) {
        const double h = (x[r][c] - mean) * rstd, g = from[r][c] * w[c];
        y[r][c] = h * w[c] + b[c];
        dw[c] += from[r][c] * h;
        db[c] += from[r][c];
        first += g / double(columns);
        second += g * h / double(columns);
      }
      for (int64_t c = 0; c < columns; c++) {
        d[r][c] += rstd * (from[r][c] * w[c] - first - (x[r][c] - mean) * rstd * second);
      }
    }
  }
};

void expect_near(const at::Tensor& found, const at::Tensor& expected, double tolerance, const char* what) {
  EXPECT_LT(largest_difference(found, expected), tolerance * (expected.abs().max().item<double>() + 0.1)) << what;
}

// fp32 and bf16 use our kernels; double uses libtorch, like other devices. bf16 rounds each result once to 8 bits, and
// the sum before it is normalized.
class AddAndNorm : public ::testing::TestWithParam<std::pair<at::ScalarType, double>> {};
INSTANTIATE_TEST_SUITE_P(, AddAndNorm,
                         ::testing::Values(std::pair{at::kFloat, 2e-5}, std::pair{at::kBFloat16, 2e-2},
                                           std::pair{at::kDouble, 2e-5}),
                         [](const auto& test) { return std::string(c10::toString(test.param.first)); });

TEST_P(AddAndNorm, EqualsADoubleLoopThroughBothOutputs) {
  const auto [type, tolerance] = GetParam();
  at::manual_seed(12);
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 37}, {5, 3}, {17, 16}, {33, 37}, {40, 128}}) {
    if (type == at::kBFloat16 && columns < 3) continue;  // nothing is left of a difference but the sum's rounding
    for (const bool has_residual : {true, false}) {
      const auto leaf = [&] { return at::randn({rows, columns}).to(type).requires_grad_(); };
      const auto x = leaf(), residual = has_residual ? leaf() : at::Tensor();
      const auto weight = random({columns}), bias = random({columns});
      const auto found = add_and_norm(x, residual, weight, bias, 1e-3, 0);
      EXPECT_EQ(found.sum.scalar_type(), type);
      EXPECT_EQ(found.normalised.scalar_type(), type);
      const auto by_sum = at::randn({rows, columns}).to(type), by_norm = probe(found.normalised);
      ((found.sum * by_sum).sum() + (found.normalised * by_norm).sum()).backward();

      const auto wide = [](const at::Tensor& t) { return t.detach().to(at::kDouble); };
      const PlainNorm plain(has_residual ? wide(x) + wide(residual) : wide(x), wide(weight), wide(bias), 1e-3,
                            wide(by_sum), wide(by_norm));
      expect_near(found.sum, plain.sum, tolerance, "sum");
      expect_near(found.normalised, plain.normalised, tolerance, "norm");
      expect_near(x.grad(), plain.by_input, tolerance, "by x");
      if (has_residual) expect_near(residual.grad(), plain.by_input, tolerance, "by residual");
      expect_near(weight.grad(), plain.by_weight, tolerance, "by weight");
      expect_near(bias.grad(), plain.by_bias, tolerance, "by bias");
      EXPECT_TRUE(add_norm(x, residual, weight, bias, 1e-3, 0).equal(found.normalised)) << "post-norm has other bits";
    }
  }
}

TEST_P(AddAndNorm, EitherOutputMayGoUnused) {
  const auto [type, tolerance] = GetParam();
  at::manual_seed(13);
  const auto x = at::randn({9, 20}).to(type).requires_grad_(), residual = at::randn({9, 20}).to(type);
  const auto weight = random({20}), bias = random({20});
  add_and_norm(x, residual, weight, bias, 1e-5, 0).sum.sum().backward();
  EXPECT_TRUE(x.grad().eq(1).all().item<bool>());
  EXPECT_TRUE(!weight.grad().defined() || weight.grad().eq(0).all().item<bool>());
  x.mutable_grad().reset();
  const auto found = add_and_norm(x, residual, weight, bias, 1e-5, 0).normalised;
  found.mul(probe(found)).sum().backward();
  const auto through_norm = x.grad().clone();
  x.mutable_grad().reset();
  add_norm(x, residual, weight, bias, 1e-5, 0).mul(probe(found)).sum().backward();
  EXPECT_TRUE(x.grad().equal(through_norm));
}

TEST(PreNorm, DropsTheSameElementsInSumNormAndGradient) {
  at::manual_seed(14);
  const auto x = random({50, 40}), residual = random({50, 40});
  const auto weight = at::ones({40}), bias = at::zeros({40});
  const auto [sum, normalised] = add_and_norm(x, residual, weight, bias, 1e-5, 0.25);
  const auto dropped = sum.eq(residual);
  EXPECT_NEAR(dropped.to(at::kDouble).mean().item<double>(), 0.25, 4 * std::sqrt(0.25 * 0.75 / 2000));
  EXPECT_LT(largest_difference(sum, (x / 0.75).masked_fill(dropped, 0) + residual), 1e-6);
  EXPECT_LT(largest_difference(normalised, at::layer_norm(sum, {40}, weight, bias, 1e-5)), 1e-5);
  ((sum * at::randn_like(sum)).sum() + (normalised * at::randn_like(sum)).sum()).backward();
  EXPECT_LT(largest_difference(x.grad(), (residual.grad() / 0.75).masked_fill(dropped, 0)), 1e-5);
}

TEST(PreNorm, GivesTheSumWithoutGradients) {
  const c10::NoGradGuard no_gradients;
  const auto x = at::randn({3, 7}), residual = at::randn({3, 7});
  EXPECT_TRUE(add_and_norm(x, residual, at::ones({7}), at::zeros({7}), 1e-5, 0).sum.equal(x + residual));
}

TEST(AddNorm, PassesGradientsToAResidualAlone) {
  const auto x = at::randn({4, 9}), weight = at::ones({9}), bias = at::zeros({9});
  const auto residual = random({4, 9});
  expect_alike(
      {residual}, [&] { return add_norm(x, residual, weight, bias, 1e-5, 0); },
      [&] { return at::layer_norm(x + residual, {9}, weight, bias, 1e-5); }, 2e-5);
}

TEST(NormKernels, Bf16RoundsToTheNearest) {
  at::manual_seed(7);
  const auto x = at::randn({9, 50}).to(at::kBFloat16), weight = at::randn({50}), bias = at::randn({50});
  const auto expected = at::layer_norm(x.to(at::kFloat), {50}, weight, bias, 1e-5);
  for (const auto* kernels : runnable<cuda::NormKernels>({&cuda::v3::norm_kernels, &cuda::v4::norm_kernels})) {
    auto out = at::empty_like(x);
    kernels->normalise({.rows = 9,
                        .columns = 50,
                        .x = x.data_ptr(),
                        .weight = weight.data_ptr<float>(),
                        .bias = bias.data_ptr<float>(),
                        .eps = 1e-5f,
                        .store = cuda::Store::bf16,
                        .normalised = out.data_ptr()});
    // differs from the rounded result of libtorch by at most one rounding step
    EXPECT_LT(((out.to(at::kFloat) - expected).abs() / (expected.abs() + 1e-2)).max().item<double>(), 1.0 / 256 + 1e-3);
  }
}

}  // namespace
}  // namespace sartor::transformer
