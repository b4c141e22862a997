// Compares values and gradients of RMS normalization with a double loop and with its definition in libtorch.
#include "models/transformer/ops/norm.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <string>

#include "trainer/models/transformer_support.h"
#include "transformer/norm_kernels.h"

namespace sartor::transformer {
namespace {

using namespace testing;

// Double loop for sums s: the norm n and the gradients of <by_sum, s> + <by_norm, n>.
struct PlainRmsNorm {
  at::Tensor normalised, by_input, by_weight;

  PlainRmsNorm(const at::Tensor& s, const at::Tensor& weight, double eps, const at::Tensor& by_s,
               const at::Tensor& by_n)
      : normalised(at::empty_like(s)), by_input(by_s.clone()), by_weight(at::zeros_like(weight)) {
    const auto x = s.accessor<double, 2>(), from = by_n.accessor<double, 2>();
    auto y = normalised.accessor<double, 2>(), d = by_input.accessor<double, 2>();
    const auto w = weight.accessor<double, 1>();
    auto dw = by_weight.accessor<double, 1>();
    const int64_t columns = s.size(1);
    for (int64_t r = 0; r < s.size(0); r++) {
      double squares = 0, dot = 0;
      for (int64_t c = 0; c < columns; c++) squares += x[r][c] * x[r][c] / double(columns);
      const double rstd = 1 / std::sqrt(squares + eps);
      for (int64_t c = 0; c < columns; c++) {
        y[r][c] = x[r][c] * rstd * w[c];
        dw[c] += from[r][c] * x[r][c] * rstd;
        dot += from[r][c] * w[c] * x[r][c] * rstd / double(columns);
      }
      for (int64_t c = 0; c < columns; c++) d[r][c] += rstd * (from[r][c] * w[c] - x[r][c] * rstd * dot);
    }
  }
};

void expect_near(const at::Tensor& found, const at::Tensor& expected, double tolerance, const char* what) {
  if (found.numel() == 0) return;
  EXPECT_LT(largest_difference(found, expected), tolerance * (expected.abs().max().item<double>() + 0.1)) << what;
}

// fp32 and bf16 use our kernels; double uses libtorch in fp32, like other devices. bf16 rounds the sum, the normalized
// row and the result to 8 bits each.
class RmsNorm : public ::testing::TestWithParam<std::pair<at::ScalarType, double>> {};
INSTANTIATE_TEST_SUITE_P(, RmsNorm,
                         ::testing::Values(std::pair{at::kFloat, 1e-5}, std::pair{at::kBFloat16, 2e-2},
                                           std::pair{at::kDouble, 1e-5}),
                         [](const auto& test) { return std::string(c10::toString(test.param.first)); });

TEST_P(RmsNorm, EqualsADoubleLoopThroughBothOutputs) {
  const auto [type, tolerance] = GetParam();
  at::manual_seed(41);
  for (const auto& [rows, columns] :
       {std::pair{0, 8}, {1, 1}, {1, 37}, {5, 3}, {17, 16}, {33, 37}, {40, 64}, {100, 128}}) {
    for (const bool has_residual : {true, false}) {
      const auto leaf = [&] { return at::randn({rows, columns}).to(type).requires_grad_(); };
      const auto x = leaf(), residual = has_residual ? leaf() : at::Tensor();
      const auto weight = random({columns});
      const auto found = add_and_rms_norm(x, residual, weight, 1e-3, 0);
      EXPECT_EQ(found.sum.scalar_type(), type);
      EXPECT_EQ(found.normalised.scalar_type(), type);
      const auto by_sum = at::randn({rows, columns}).to(type), by_norm = probe(found.normalised);
      ((found.sum * by_sum).sum() + (found.normalised * by_norm).sum()).backward();

      const auto wide = [](const at::Tensor& t) { return t.detach().to(at::kDouble); };
      const auto sum = has_residual ? wide(x) + wide(residual) : wide(x);
      const PlainRmsNorm plain(sum, wide(weight), 1e-3, wide(by_sum), wide(by_norm));
      expect_near(found.sum, sum, tolerance, "sum");
      expect_near(found.normalised, plain.normalised, tolerance, "norm");
      expect_near(x.grad(), plain.by_input, tolerance, "by x");
      if (has_residual) expect_near(residual.grad(), plain.by_input, tolerance, "by residual");
      expect_near(weight.grad(), plain.by_weight, tolerance, "by weight");
      if (!has_residual) {
        EXPECT_TRUE(rms_norm(x, weight, 1e-3).equal(found.normalised));
      }
    }
  }
}

TEST_P(RmsNorm, EitherOutputMayGoUnused) {
  const auto type = GetParam().first;
  at::manual_seed(42);
  const auto x = at::randn({9, 20}).to(type).requires_grad_(), residual = at::randn({9, 20}).to(type);
  const auto weight = random({20});
  add_and_rms_norm(x, residual, weight, 1e-5, 0).sum.sum().backward();
  EXPECT_TRUE(x.grad().eq(1).all().item<bool>());
  EXPECT_TRUE(!weight.grad().defined() || weight.grad().eq(0).all().item<bool>());
  x.mutable_grad().reset();
  const auto found = add_and_rms_norm(x, {}, weight, 1e-5, 0).normalised;
  found.mul(probe(found)).sum().backward();
  const auto through_norm = x.grad().clone();
  x.mutable_grad().reset();
  rms_norm(x, weight, 1e-5).mul(probe(found)).sum().backward();
  EXPECT_TRUE(x.grad().equal(through_norm));
}

// Transformers rounds the normalized row before it multiplies by the weight.
TEST(RmsNorms, RoundsTwiceAsTransformers) {
  at::manual_seed(43);
  const auto x = at::randn({50, 96}).to(at::kBFloat16);
  const auto weight = at::randn({96}).to(at::kBFloat16).to(at::kFloat);
  const auto wide = x.to(at::kFloat);
  const auto rounded = (wide * at::rsqrt(wide.square().mean(1, true) + 1e-6)).to(at::kBFloat16);
  const auto expected = (rounded.to(at::kFloat) * weight).to(at::kBFloat16);
  const auto found = rms_norm(x, weight, 1e-6);
  // The statistics may differ in the last bit of fp32, which moves few roundings.
  EXPECT_LE(found.ne(expected).sum().item<int64_t>(), 5);
  const auto once = (wide * at::rsqrt(wide.square().mean(1, true) + 1e-6) * weight).to(at::kBFloat16);
  EXPECT_GT(found.ne(once).sum().item<int64_t>(), 500) << "the test tells nothing";
}

TEST(RmsNorms, DropsTheSameElementsInSumNormAndGradient) {
  at::manual_seed(44);
  const auto x = random({50, 40}), residual = random({50, 40}), weight = at::ones({40});
  const auto [sum, normalised] = add_and_rms_norm(x, residual, weight, 1e-5, 0.25);
  const auto dropped = sum.eq(residual);
  EXPECT_NEAR(dropped.to(at::kDouble).mean().item<double>(), 0.25, 4 * std::sqrt(0.25 * 0.75 / 2000));
  EXPECT_LT(largest_difference(sum, (x / 0.75).masked_fill(dropped, 0) + residual), 1e-6);
  EXPECT_LT(largest_difference(normalised, sum * at::rsqrt(sum.square().mean(1, true) + 1e-5)), 1e-5);
  ((sum * at::randn_like(sum)).sum() + (normalised * at::randn_like(sum)).sum()).backward();
  EXPECT_LT(largest_difference(x.grad(), (residual.grad() / 0.75).masked_fill(dropped, 0)), 1e-5);
}

TEST(NormKernels, RmsNormOfEachInstructionSetEqualsADoubleLoop) {
  at::manual_seed(45);
  for (const auto* kernels : runnable<cuda::NormKernels>({&cuda::v3::norm_kernels, &cuda::v4::norm_kernels})) {
    for (const int64_t columns : {1, 5, 16, 37, 64, 128}) {
      const auto x = at::randn({4, columns}), weight = at::randn({columns}), by_norm = at::randn({4, columns});
      const auto normalised = at::empty_like(x), rstd = at::empty({4}), by_sum = at::empty_like(x);
      const auto by_weight = at::zeros({columns});
      const cuda::NormRows rows = {.rows = 4,
                                   .columns = columns,
                                   .x = x.data_ptr(),
                                   .weight = weight.data_ptr<float>(),
                                   .eps = 1e-3f,
                                   .store = cuda::Store::fp32,
                                   .rstd = rstd.data_ptr<float>(),
                                   .normalised = normalised.data_ptr(),
                                   .rms = true};
      kernels->normalise(rows);
      kernels->normalise_backward(rows, {.normalised = by_norm.data_ptr(),
                                         .sum = x.data_ptr(),
                                         .rstd = rstd.data_ptr<float>(),
                                         .by_sum = by_sum.data_ptr(),
                                         .by_weight = by_weight.data_ptr<float>()});
      const PlainRmsNorm plain(x.to(at::kDouble), weight.to(at::kDouble), 1e-3, at::zeros({4, columns}, at::kDouble),
                               by_norm.to(at::kDouble));
      expect_near(normalised, plain.normalised, 1e-5, "norm");
      expect_near(by_sum, plain.by_input, 1e-5, "by sum");
      expect_near(by_weight, plain.by_weight, 1e-5, "by weight");
    }
  }
}

TEST(RmsNorms, GivesTheSumWithoutGradients) {
  const c10::NoGradGuard no_gradients;
  const auto x = at::randn({3, 7}), residual = at::randn({3, 7});
  EXPECT_TRUE(add_and_rms_norm(x, residual, at::ones({7}), 1e-5, 0).sum.equal(x + residual));
}

}  // namespace
}  // namespace sartor::transformer
