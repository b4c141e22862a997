// Compares gated activations with libtorch's in double precision.
#include "models/transformer/ops/gated.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <tuple>

#include "models/transformer/ops/elementwise.h"
#include "trainer/models/transformer_support.h"
#include "transformer/rows_kernels.h"

namespace sartor::transformer {
namespace {

using namespace testing;

// Dtype, tolerance, activation. The exact GELU of our kernels has an error of 2e-7, and libtorch's in fp32 one of 1e-7
// |x|; up multiplies it by up to 5. bf16 rounds each result once, to 8
// bits; double uses libtorch, like other devices, in fp32.
class Gated : public ::testing::TestWithParam<std::tuple<std::pair<at::ScalarType, double>, Activation>> {};
INSTANTIATE_TEST_SUITE_P(, Gated,
                         ::testing::Combine(::testing::Values(std::pair{at::kFloat, 3e-6},
                                                              std::pair{at::kBFloat16, 5e-3},
                                                              std::pair{at::kDouble, 3e-6}),
                                            ::testing::Values(Activation::silu, Activation::gelu_tanh, Activation::gelu,
                                                              Activation::relu, Activation::tanh)));

TEST_P(Gated, HasLibtorchsValuesAndGradients) {
  const auto [of_type, kind] = GetParam();
  const auto [type, tolerance] = of_type;
  at::manual_seed(22);
  for (const auto& [tokens, width] : {std::tuple{0, 8}, {1, 1}, {3, 7}, {17, 33}, {100, 257}}) {
    const auto gate = (at::randn({tokens, width}) * 3).to(type).requires_grad_();
    const auto up = at::randn({tokens, width}).to(type).requires_grad_();
    const auto found = gated(gate, up, kind);
    EXPECT_EQ(found.scalar_type(), type);
    (found * probe(found)).sum().backward();
    if (tokens == 0) continue;
    const auto wide = [](const at::Tensor& t) { return t.detach().to(at::kDouble).requires_grad_(); };
    const auto wide_gate = wide(gate), wide_up = wide(up);
    const auto expected = activation(wide_gate, kind) * wide_up;
    (expected * probe(found).to(at::kDouble)).sum().backward();
    const auto near = [&](const at::Tensor& one, const at::Tensor& other) {
      return ((one.to(at::kDouble) - other).abs() / (other.abs() + 1)).max().item<double>() < tolerance;
    };
    EXPECT_TRUE(near(found, expected));
    EXPECT_TRUE(near(gate.grad(), wide_gate.grad()));
    EXPECT_TRUE(near(up.grad(), wide_up.grad()));
  }
}

// Without `up`, as in the feed-forward layers of GPT-2.
TEST_P(Gated, ActivationsHaveLibtorchsValuesAndGradients) {
  const auto [of_type, kind] = GetParam();
  const auto [type, tolerance] = of_type;
  at::manual_seed(24);
  for (const int64_t size : {1, 15, 33, 40000}) {
    const auto x = (at::randn({size}) * 3).to(type).requires_grad_();
    const auto found = activation(x, kind);
    (found * probe(found)).sum().backward();
    const auto wide = x.detach().to(at::kDouble).requires_grad_();
    (activation(wide, kind) * probe(found).to(at::kDouble)).sum().backward();
    EXPECT_LT(largest_difference(found, activation(wide, kind)), 4 * tolerance);
    EXPECT_LT(largest_difference(x.grad(), wide.grad()), 2 * tolerance);
  }
}

TEST(ActivationKernels, EachInstructionSetHasLibtorchsValuesAndGradients) {
  at::manual_seed(25);
  const std::pair<cuda::Curve, Activation> curves[] = {{cuda::Curve::gelu, Activation::gelu},
                                                       {cuda::Curve::gelu_tanh, Activation::gelu_tanh},
                                                       {cuda::Curve::silu, Activation::silu}};
  for (const auto* kernels : runnable<cuda::RowsKernels>({&cuda::v3::rows_kernels, &cuda::v4::rows_kernels})) {
    for (const auto& [curve, kind] : curves) {
      const auto x = at::linspace(-12, 12, 2417), up = at::randn({2417}), by_y = at::randn({2417});
      const auto y = at::empty_like(x), by_x = at::empty_like(x), by_up = at::empty_like(x);
      const cuda::ActivationValues values = {2417, curve, cuda::Store::fp32, x.data_ptr(), up.data_ptr(), y.data_ptr()};
      kernels->activate(values);
      kernels->activate_backward(values, {by_y.data_ptr(), by_x.data_ptr(), by_up.data_ptr()});
      const auto wide = x.to(at::kDouble).requires_grad_(), wide_up = up.to(at::kDouble).requires_grad_();
      const auto expected = activation(wide, kind) * wide_up;
      (expected * by_y).sum().backward();
      // Up to 12 = |up by_y| times the error of the curve.
      EXPECT_LT(largest_difference(y, expected), 1e-5);
      EXPECT_LT(largest_difference(by_x, wide.grad()), 1e-5);
      EXPECT_LT(largest_difference(by_up, wide_up.grad()), 1e-5);
    }
  }
}

TEST(GatedInputs, LargeInputsAreFinite) {
  const auto gate = at::tensor({-1e4f, -100.0f, -20.0f, 0.0f, 20.0f, 100.0f, 1e4f}).view({1, 7}).requires_grad_();
  const auto up = at::full({1, 7}, 2.0f).requires_grad_();
  for (const auto kind : {Activation::silu, Activation::gelu_tanh, Activation::gelu}) {
    gate.mutable_grad().reset();
    const auto out = gated(gate, up, kind);
    EXPECT_LT(largest_difference(out, activation(gate, kind) * 2), 1e-4);
    out.sum().backward();
    EXPECT_TRUE(gate.grad().isfinite().all().item<bool>());
    EXPECT_TRUE(up.grad().isfinite().all().item<bool>());
  }
}

}  // namespace
}  // namespace sartor::transformer
