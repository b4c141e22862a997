// Compares language modeling losses and their gradients with libtorch's cross-entropy in double precision.
#include "models/transformer/ops/token_loss.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "models/transformer/ops/matmul.h"
#include "support/meta_operators.h"
#include "trainer/models/transformer_support.h"
#include "transformer/rows_kernels.h"

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

at::ScalarType compute_of(at::ScalarType type) { return type == at::kBFloat16 ? type : at::kFloat; }

void expect_near(const at::Tensor& found, const at::Tensor& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  if (found.numel() == 0) return;
  EXPECT_LE(largest_difference(found, expected), tolerance * (expected.abs().max().item<double>() + 0.1)) << what;
}

// fp32: sums of up to 100 products, rounded. bf16: the gradient of the logits is rounded to 8 bits, and so is the
// gradient of x. double uses libtorch's products in fp32, like CPUs without matmul().
class TokenLoss : public ::testing::TestWithParam<std::pair<at::ScalarType, double>> {};
INSTANTIATE_TEST_SUITE_P(, TokenLoss,
                         ::testing::Values(std::pair{at::kFloat, 1e-5}, std::pair{at::kBFloat16, 1e-2},
                                           std::pair{at::kDouble, 1e-5}),
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
    const auto found = token_loss(of.x, of.weight, of.targets, of.token_weights, compute_of(type));
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
    const auto found = token_log_probabilities(of.x, of.weight, of.targets, compute_of(type));
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
  const auto found = token_loss(of.x, of.weight, of.targets, of.token_weights, compute_of(type));
  found.backward();
  EXPECT_EQ(found.item<float>(), 0);
  EXPECT_EQ(of.x.grad().sizes(), (std::vector<int64_t>{0, 6}));
  EXPECT_EQ(of.weight.grad().abs().max().item<float>(), 0);
  const auto none = token_log_probabilities(of.x, of.weight, of.targets, compute_of(type));
  EXPECT_EQ(none.numel(), 0);
  none.sum().backward();
  EXPECT_EQ(of.weight.grad().abs().max().item<float>(), 0);
}

TEST_P(TokenLoss, TokensOfWeightZeroHaveNoGradient) {
  const auto type = GetParam().first;
  at::manual_seed(33);
  Case of(9, 8, 21, type);
  of.token_weights = at::tensor({1.0f, 0.0f, 2.0f, 0.0f, 0.0f, 1.0f, 1.0f, 0.0f, 1.0f});
  token_loss(of.x, of.weight, of.targets, of.token_weights, compute_of(type)).backward();
  const auto silent = of.token_weights.eq(0);
  EXPECT_EQ(of.x.grad().masked_select(silent.unsqueeze(1)).abs().max().item<float>(), 0);
  EXPECT_GT(of.x.grad().abs().sum(1).to(at::kFloat).masked_select(silent.logical_not()).min().item<float>(), 0);
  const auto all = token_loss(of.x, of.weight, of.targets, at::zeros({9}), compute_of(type));
  EXPECT_EQ(all.item<float>(), 0);
}

TEST_P(TokenLoss, HugeLogitsStayFinite) {
  const auto type = GetParam().first;
  at::manual_seed(34);
  const Case of(12, 16, 40, type, 1e4);
  at::Tensor x, weight;
  const auto expected = (of.plain(x, weight) * of.token_weights.to(at::kDouble)).sum();
  expected.backward();
  const auto found = token_loss(of.x, of.weight, of.targets, of.token_weights, compute_of(type));
  found.backward();
  EXPECT_NEAR(found.item<double>() / expected.item<double>(), 1, 1e-5);
  EXPECT_TRUE(of.x.grad().isfinite().all().item<bool>());
  EXPECT_TRUE(of.weight.grad().isfinite().all().item<bool>());
}

TEST_P(TokenLoss, GradientsAccumulateOverCalls) {
  const auto type = GetParam().first;
  at::manual_seed(36);
  const Case of(7, 8, 30, type);
  const auto add = [&] { token_loss(of.x, of.weight, of.targets, of.token_weights, compute_of(type)).backward(); };
  add();
  const auto once = of.weight.grad().clone();
  add();
  EXPECT_LT(largest_difference(of.weight.grad(), once * 2), 1e-5);
}

TEST_P(TokenLoss, FrozenSidesGetNoGradient) {
  const auto type = GetParam().first;
  at::manual_seed(35);
  const Case of(11, 8, 30, type);
  const auto both = [&](const at::Tensor& x, const at::Tensor& weight) {
    token_loss(x, weight, of.targets, of.token_weights, compute_of(type)).backward();
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
  EXPECT_FALSE(token_loss(of.x, of.weight, of.targets, of.token_weights, compute_of(type)).requires_grad());
}

// A vocabulary of 2^20 makes chunks of 16 tokens.
TEST_P(TokenLoss, ChunksChangeNothingButRounding) {
  const auto [type, tolerance] = GetParam();
  at::manual_seed(37);
  constexpr int64_t vocabulary = 1 << 20;
  const auto weight = at::randn({vocabulary, 3}).requires_grad_();
  const auto targets = at::randint(vocabulary, {33}, at::kLong), token_weights = at::rand({33}) + 0.5;
  const auto all = at::randn({33, 3}).to(type);
  const auto losses = token_log_probabilities(all, weight, targets, compute_of(type)).detach();
  for (const int64_t tokens : {15, 16, 17, 33}) {
    const auto part = [&](const at::Tensor& x) { return x.narrow(0, 0, tokens); };
    const auto x = part(all).clone().requires_grad_();
    weight.mutable_grad().reset();
    const auto found = token_loss(x, weight, part(targets), part(token_weights), compute_of(type));
    found.backward();
    const auto log_p = token_log_probabilities(x, weight, part(targets), compute_of(type));
    if (has_matmul(x, compute_of(type))) {
      EXPECT_TRUE(log_p.equal(part(losses))) << tokens << " tokens: a row depends on others";
    }
    expect_near(log_p, part(losses), 1e-6, "log-probabilities");
    expect_near(found, (log_p * part(token_weights)).sum().neg(), 1e-6, "sum");
    const auto by_x = x.grad().clone(), by_weight = weight.grad().clone();
    x.mutable_grad().reset();
    weight.mutable_grad().reset();
    (log_p * part(token_weights)).sum().neg().backward();
    expect_near(x.grad(), by_x, tolerance, "by x");
    expect_near(weight.grad(), by_weight, tolerance, "by weight");
  }
}

TEST_P(TokenLoss, BitsDoNotDependOnThreads) {
  const auto type = GetParam().first;
  const Case of(75, 40, 3001, type);
  if (!has_matmul(of.x, compute_of(type))) GTEST_SKIP() << "products of libtorch";
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    for (const auto& leaf : {of.x, of.weight}) leaf.mutable_grad().reset();
    const auto loss = token_loss(of.x, of.weight, of.targets, of.token_weights, compute_of(type));
    loss.backward();
    return std::vector{loss.detach(), of.x.grad(), of.weight.grad()};
  };
  const int before = at::get_num_threads();
  const auto one = run(1), three = run(3);
  at::set_num_threads(before);
  for (size_t i = 0; i < one.size(); i++) EXPECT_TRUE(one[i].equal(three[i])) << i;
}

TEST_P(TokenLoss, NaNInOneLogitIsSeen) {
  const auto type = GetParam().first;
  Case of(5, 4, 67, type);
  of.weight = of.weight.detach().clone();
  of.weight.select(0, 66).fill_(NAN);
  of.targets.zero_();
  EXPECT_TRUE(std::isnan(token_loss(of.x, of.weight, of.targets, of.token_weights, compute_of(type)).item<float>()));
}

// libtorch's meta device throws on any attempt to read a value.
TEST(TokenLossOnADevice, ReadsNothingBack) {
  const sartor::testing::MetaOperators operators;
  const auto meta = at::TensorOptions(at::kMeta);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const auto x = at::empty({40, 8}, meta.dtype(type)).requires_grad_();
    const auto weight = at::empty({1 << 20, 8}, meta.dtype(at::kFloat)).requires_grad_();
    const auto targets = at::empty({40}, meta.dtype(at::kLong)), weights = at::empty({40}, meta.dtype(at::kFloat));
    token_loss(x, weight, targets, weights, type).backward();
    token_log_probabilities(x, weight, targets, type).sum().backward();
    EXPECT_EQ(x.grad().scalar_type(), type);
    EXPECT_EQ(weight.grad().sizes(), weight.sizes());
  }
}

TEST(TokenLossKernels, EachInstructionSetEqualsDoublePrecision) {
  at::manual_seed(38);
  for (const auto* kernels : runnable<cuda::RowsKernels>({&cuda::v3::rows_kernels, &cuda::v4::rows_kernels})) {
    for (const int64_t columns : {1, 2, 7, 16, 31, 64, 65, 129, 1009}) {
      const auto logits = at::randn({3, columns}) * 5, weights = at::tensor({1.0f, 0.5f, 0.0f});
      const auto targets = at::randint(columns, {3}, at::kLong), nll = at::empty({3});
      const auto wide = logits.to(at::kDouble).requires_grad_();
      const auto expected = at::cross_entropy_loss(wide, targets, {}, at::Reduction::None);
      (expected * weights).sum().backward();
      const auto run = [&](const at::Tensor& of, const float* by) {
        kernels->token_loss({.rows = 3,
                             .columns = columns,
                             .logits = of.data_ptr<float>(),
                             .targets = targets.const_data_ptr<int64_t>(),
                             .weights = by,
                             .nll = nll.data_ptr<float>()});
      };
      const auto kept = logits.clone(), gradient = logits.clone();
      run(kept, nullptr);
      EXPECT_TRUE(kept.equal(logits));
      EXPECT_LT(largest_difference(nll, expected), 1e-5);
      run(gradient, weights.const_data_ptr<float>());
      EXPECT_LT(largest_difference(nll, expected), 1e-5);
      EXPECT_LT(largest_difference(gradient, wide.grad()), 1e-6);
    }
  }
}

}  // namespace
}  // namespace sartor::transformer
