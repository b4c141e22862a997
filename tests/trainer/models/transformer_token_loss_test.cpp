// Compares language modeling losses and their gradients with libtorch's cross-entropy in double precision.
#include "models/transformer/ops/token_loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <string>
#include <tuple>
#include <vector>

#include "trainer/models/transformer_support.h"

namespace sartor::transformer {
namespace {

using namespace testing;

struct Case {
  at::Tensor x, weight, targets, token_weights;

  Case(int64_t tokens, int64_t hidden, int64_t vocabulary, at::ScalarType type = at::kFloat, double scale = 1)
      : x((at::randn({tokens, hidden}) * scale).to(type).requires_grad_()),
        weight(random({vocabulary, hidden})),
        targets(at::randint(vocabulary, {tokens}, at::kLong)),
        token_weights(at::rand({tokens}) + 0.5) {}

  // nll (T) in double precision, of leaves that are returned
  at::Tensor plain(at::Tensor& wide_x, at::Tensor& wide_weight) const {
    wide_x = x.detach().to(at::kDouble).requires_grad_();
    // With bf16 the weight is rounded for the products.
    wide_weight = weight.detach().to(x.scalar_type()).to(at::kDouble).requires_grad_();
    return at::cross_entropy_loss(at::linear(wide_x, wide_weight), targets, {}, at::Reduction::None);
  }
};

void expect_near(const at::Tensor& found, const at::Tensor& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  if (found.numel() == 0) return;
  EXPECT_LE(largest_difference(found, expected), tolerance * (expected.abs().max().item<double>() + 0.1)) << what;
}

// fp32: sums of up to 100 products, rounded. bf16: the gradient of the logits is rounded to 8 bits, and so is the
// gradient of x.
class TokenLoss : public ::testing::TestWithParam<std::pair<at::ScalarType, double>> {};
INSTANTIATE_TEST_SUITE_P(, TokenLoss, ::testing::Values(std::pair{at::kFloat, 1e-5}, std::pair{at::kBFloat16, 1e-2}),
                         [](const auto& test) { return std::string(c10::toString(test.param.first)); });

const std::vector<std::tuple<int64_t, int64_t, int64_t>> shapes = {{1, 1, 1},    {1, 5, 2},     {3, 7, 1},
                                                                   {17, 16, 33}, {31, 64, 257}, {130, 24, 1009}};

TEST_P(TokenLoss, EqualsCrossEntropyInDoublePrecision) {
  const auto [type, tolerance] = GetParam();
  at::manual_seed(31);
  for (const auto& [tokens, hidden, vocabulary] : shapes) {
    const Case of(tokens, hidden, vocabulary, type);
    const auto what = std::to_string(tokens) + " tokens, vocabulary " + std::to_string(vocabulary);
    at::Tensor x, weight;
    const auto expected = (of.plain(x, weight) * of.token_weights.to(at::kDouble)).sum();
    (expected * 0.25).backward();
    const auto found = token_loss(of.x, of.weight, of.targets, of.token_weights, type);
    EXPECT_EQ(found.scalar_type(), at::kFloat);
    (found * 0.25).backward();
    expect_near(found, expected, tolerance, what);
    expect_near(of.x.grad(), x.grad(), tolerance, what + ", by x");
    expect_near(of.weight.grad(), weight.grad(), tolerance, what + ", by weight");
    EXPECT_EQ(of.x.grad().scalar_type(), type);
    EXPECT_EQ(of.weight.grad().scalar_type(), at::kFloat);
  }
}

TEST_P(TokenLoss, LogProbabilitiesEqualLibtorchsInDoublePrecision) {
  const auto [type, tolerance] = GetParam();
  at::manual_seed(32);
  for (const auto& [tokens, hidden, vocabulary] : shapes) {
    const Case of(tokens, hidden, vocabulary, type);
    at::Tensor x, weight;
    const auto expected = of.plain(x, weight).neg();
    (expected * of.token_weights).sum().backward();
    const auto found = token_log_probabilities(of.x, of.weight, of.targets, type);
    EXPECT_EQ(found.scalar_type(), at::kFloat);
    (found * of.token_weights).sum().backward();
    expect_near(found, expected, tolerance, "log-probabilities");
    expect_near(of.x.grad(), x.grad(), tolerance, "by x");
    expect_near(of.weight.grad(), weight.grad(), tolerance, "by weight");
  }
}

TEST_P(TokenLoss, NoTokensGiveZero) {
  const auto type = GetParam().first;
  const Case of(0, 6, 9, type);
  const auto found = token_loss(of.x, of.weight, of.targets, of.token_weights, type);
  found.backward();
  EXPECT_EQ(found.item<float>(), 0);
  EXPECT_EQ(of.x.grad().sizes(), (std::vector<int64_t>{0, 6}));
  EXPECT_EQ(of.weight.grad().abs().max().item<float>(), 0);
  const auto none = token_log_probabilities(of.x, of.weight, of.targets, type);
  EXPECT_EQ(none.numel(), 0);
  none.sum().backward();
  EXPECT_EQ(of.weight.grad().abs().max().item<float>(), 0);
}

TEST_P(TokenLoss, TokensOfWeightZeroHaveNoGradient) {
  const auto type = GetParam().first;
  at::manual_seed(33);
  Case of(9, 8, 21, type);
  of.token_weights = at::tensor({1.0f, 0.0f, 2.0f, 0.0f, 0.0f, 1.0f, 1.0f, 0.0f, 1.0f});
  token_loss(of.x, of.weight, of.targets, of.token_weights, type).backward();
  const auto silent = of.token_weights.eq(0);
  EXPECT_EQ(of.x.grad().masked_select(silent.unsqueeze(1)).abs().max().item<float>(), 0);
  EXPECT_GT(of.x.grad().abs().sum(1).to(at::kFloat).masked_select(silent.logical_not()).min().item<float>(), 0);
  const auto all = token_loss(of.x, of.weight, of.targets, at::zeros({9}), type);
  EXPECT_EQ(all.item<float>(), 0);
}

TEST_P(TokenLoss, HugeLogitsStayFinite) {
  const auto type = GetParam().first;
  at::manual_seed(34);
  const Case of(12, 16, 40, type, 1e4);
  at::Tensor x, weight;
  const auto expected = (of.plain(x, weight) * of.token_weights.to(at::kDouble)).sum();
  expected.backward();
  const auto found = token_loss(of.x, of.weight, of.targets, of.token_weights, type);
  found.backward();
  EXPECT_NEAR(found.item<double>() / expected.item<double>(), 1, 1e-5);
  EXPECT_TRUE(of.x.grad().isfinite().all().item<bool>());
  EXPECT_TRUE(of.weight.grad().isfinite().all().item<bool>());
}

TEST_P(TokenLoss, FrozenSidesGetNoGradient) {
  const auto type = GetParam().first;
  at::manual_seed(35);
  const Case of(11, 8, 30, type);
  const auto both = [&](const at::Tensor& x, const at::Tensor& weight) {
    token_loss(x, weight, of.targets, of.token_weights, type).backward();
  };
  both(of.x, of.weight);
  const auto by_x = of.x.grad().clone(), by_weight = of.weight.grad().clone();
  of.x.mutable_grad().reset();
  of.weight.mutable_grad().reset();
  both(of.x, of.weight.detach());
  EXPECT_TRUE(of.x.grad().equal(by_x));
  both(of.x.detach(), of.weight);
  EXPECT_TRUE(of.weight.grad().equal(by_weight));
  const c10::NoGradGuard no_gradients;
  EXPECT_FALSE(token_loss(of.x, of.weight, of.targets, of.token_weights, type).requires_grad());
}

}  // namespace
}  // namespace sartor::transformer
