// Compares values and gradients of linear layers with libtorch's.
#include "models/transformer/ops/linear.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "models/transformer/ops/norm.h"
#include "models/transformer/product.h"
#include "trainer/models/transformer_support.h"

namespace sartor::transformer {
namespace {

using namespace testing;

TEST(Linear, HasLibtorchsValuesAndGradients) {
  at::manual_seed(1);
  for (const auto& [rows, in, out] : {std::tuple{1, 1, 1}, {3, 7, 5}, {16, 24, 40}, {17, 64, 33}, {130, 96, 2}}) {
    const auto x = random({rows, in}), weight = random({out, in}), bias = random({out});
    expect_alike(
        {x, weight, bias}, [&] { return linear(x, weight, bias, at::kFloat); },
        [&] { return at::linear(x, weight, bias); }, 1e-5);
  }
  const auto x = at::randn({5, 4});  // x needs no gradient, and the weight is frozen
  const auto weight = at::randn({3, 4}), bias = random({3});
  expect_alike(
      {bias}, [&] { return linear(x, weight, bias, at::kFloat); }, [&] { return at::linear(x, weight, bias); }, 1e-5);
}

TEST(Linear, TheBiasMayBeAbsent) {
  at::manual_seed(2);
  const auto x = random({17, 24}), weight = random({40, 24});
  const auto zeros = at::zeros({40});
  for (const auto compute : {at::kFloat, at::kBFloat16}) {
    const auto found = gradients({x, weight}, [&] { return linear(x, weight, {}, compute); });
    const auto expected = gradients({x, weight}, [&] { return linear(x, weight, zeros, compute); });
    for (size_t i = 0; i < found.size(); i++) EXPECT_TRUE(found[i].equal(expected[i])) << i;
  }
}

TEST(Linear, InferenceTakesNoBiasAsZeros) {
  at::manual_seed(3);
  const auto weight = at::randn({40, 24}), zeros = at::zeros({40});
  for (const auto precision : bert::testing::precisions()) {
    const auto x = at::randn({5, 24}).to(precision == Precision::bf16 ? at::kBFloat16 : at::kFloat);
    for (const auto by : {Product::By::kernels, Product::By::onednn}) {
      if (by == Product::By::onednn && precision != Precision::bf16) continue;
      EXPECT_TRUE(Product(weight, {}, precision, by)(x).equal(Product(weight, zeros, precision, by)(x)));
    }
  }
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

}  // namespace
}  // namespace sartor::transformer
