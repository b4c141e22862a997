// Compares rotary embeddings with a plain loop.
#include "models/transformer/ops/rotary.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <stdexcept>
#include <tuple>

#include "models/transformer/ops/cpu_kernels.h"
#include "trainer/models/transformer_support.h"
#include "transformer/rows_kernels.h"

namespace sartor::transformer {
namespace {

using namespace testing;

// fp32 rounds once per operation, bf16 once per result, to 8 bits; double uses libtorch, like other devices.
class Rotate : public ::testing::TestWithParam<std::pair<at::ScalarType, double>> {};
INSTANTIATE_TEST_SUITE_P(, Rotate,
                         ::testing::Values(std::pair{at::kFloat, 1e-6}, std::pair{at::kBFloat16, 5e-3},
                                           std::pair{at::kDouble, 1e-6}),
                         [](const auto& test) { return std::string(c10::toString(test.param.first)); });

// Double loop over tokens, heads and pairs. `sign` is -1 for the gradient, the rotation in the other direction.
at::Tensor rotated(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, const at::Tensor& positions,
                   int64_t d, double sign) {
  const auto from = x.detach().to(at::kDouble).contiguous();
  auto to = at::empty_like(from);
  const auto in = from.accessor<double, 2>();
  auto out = to.accessor<double, 2>();
  const auto c = cos.accessor<float, 2>(), s = sin.accessor<float, 2>();
  const auto p = positions.accessor<int64_t, 1>();
  for (int64_t t = 0; t < x.size(0); t++) {
    for (int64_t h = 0; h < x.size(1); h += d) {
      for (int64_t i = 0; i < d / 2; i++) {
        const double first = in[t][h + i], second = in[t][h + i + d / 2];
        out[t][h + i] = first * c[p[t]][i] - sign * second * s[p[t]][i];
        out[t][h + i + d / 2] = second * c[p[t]][i] + sign * first * s[p[t]][i];
      }
    }
  }
  return to;
}

TEST_P(Rotate, EqualsADoubleLoop) {
  const auto [type, tolerance] = GetParam();
  at::manual_seed(21);
  for (const auto& [tokens, heads, d] :
       {std::tuple{0, 2, 8}, {1, 1, 2}, {5, 3, 6}, {17, 2, 34}, {70, 6, 64}, {33, 2, 128}}) {
    const auto angles = at::rand({50, d / 2}) * 6, cos = angles.cos(), sin = angles.sin();
    const auto positions = at::randint(50, {tokens}, at::kLong);
    const auto x = at::randn({tokens, heads * d}).to(type).requires_grad_();
    const auto y = rotate(x, cos, sin, positions, d);
    EXPECT_EQ(y.scalar_type(), type);
    ASSERT_EQ(y.sizes(), x.sizes());
    const auto by_y = probe(y);
    (y * by_y).sum().backward();
    if (tokens == 0) continue;
    EXPECT_LT(largest_difference(y, rotated(x, cos, sin, positions, d, 1)), 6 * tolerance);
    EXPECT_LT(largest_difference(x.grad(), rotated(by_y, cos, sin, positions, d, -1)), 2 * tolerance);
  }
}

TEST_P(Rotate, TakesColumnsOfAWiderArray) {
  const auto type = GetParam().first;
  const auto all = at::randn({9, 48}).to(type), angles = at::rand({9, 4});
  const auto positions = at::arange(9);
  const auto part = all.narrow(1, 16, 16);
  EXPECT_TRUE(rotate(part, angles.cos(), angles.sin(), positions, 8)
                  .equal(rotate(part.contiguous(), angles.cos(), angles.sin(), positions, 8)));
}

TEST(RotaryKernels, EachInstructionSetEqualsADoubleLoop) {
  at::manual_seed(23);
  for (const auto* kernels : runnable<cuda::RowsKernels>({&cuda::v3::rows_kernels, &cuda::v4::rows_kernels})) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      for (const int64_t d : {2, 16, 34, 64, 128}) {
        const auto angles = at::rand({7, d / 2}) * 6, cos = angles.cos(), sin = angles.sin();
        const auto positions = at::randint(7, {5}, at::kLong);
        const auto x = at::randn({5, 3 * d}).to(type), y = at::empty_like(x);
        kernels->rotate({.rows = 5,
                         .heads = 3,
                         .d = d,
                         .x = x.data_ptr(),
                         .x_stride = 3 * d,
                         .cos = cos.data_ptr<float>(),
                         .sin = sin.data_ptr<float>(),
                         .positions = positions.data_ptr<int64_t>(),
                         .sign = -1,
                         .store = store_of(x),
                         .y = y.data_ptr(),
                         .y_stride = 3 * d});
        EXPECT_LT(largest_difference(y, rotated(x, cos, sin, positions, d, -1)), type == at::kFloat ? 1e-6 : 3e-2);
      }
    }
  }
}

TEST(Rotations, RejectsOtherShapes) {
  const auto x = at::zeros({3, 16}), table = at::zeros({5, 4}), positions = at::zeros({3}, at::kLong);
  EXPECT_NO_THROW(rotate(x, table, table, positions, 8));
  EXPECT_THROW(rotate(x, table, table, positions, 6), std::invalid_argument);
  EXPECT_THROW(rotate(x, table, table, positions, 1), std::invalid_argument);
  EXPECT_THROW(rotate(x, at::zeros({5, 8}), at::zeros({5, 8}), positions, 8), std::invalid_argument);
  EXPECT_THROW(rotate(x, table, at::zeros({4, 4}), positions, 8), std::invalid_argument);
  EXPECT_THROW(rotate(x, table, table, at::zeros({4}, at::kLong), 8), std::invalid_argument);
}

}  // namespace
}  // namespace sartor::transformer
