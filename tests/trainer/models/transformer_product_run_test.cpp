// Products of arrays of rows: their bits depend neither on other rows, nor on the number of threads, nor on how they
// are called.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <numeric>
#include <vector>

#include "models/transformer/ops.h"
#include "models/transformer/product.h"
#include "trainer/models/transformer_support.h"

namespace sartor::transformer {
namespace {

std::vector<Precision> precisions() {
  std::vector<Precision> all = {Precision::fp32, Precision::int8};
  if (cuda::supported(cuda::Isa::v4)) all.push_back(Precision::bf16);
  return all;
}

struct Kind {
  Precision precision;
  bool fine_inputs = false;
};

std::vector<Kind> kinds() {
  std::vector<Kind> all = {{Precision::int8, true}};
  for (const auto precision : precisions()) all.push_back({precision});
  return all;
}

at::ScalarType type_of(Precision precision) { return precision == Precision::bf16 ? at::kBFloat16 : at::kFloat; }

at::Tensor run(const Product& product, const at::Tensor& x, int threads, std::optional<Activation> kind = {}) {
  auto y = at::full({x.size(0), product.outputs()}, NAN, x.options());
  product.run(x.const_data_ptr(), x.size(0), y.data_ptr(), threads, kind);
  return y;
}

struct Shape {
  int64_t inputs, outputs;
};
constexpr Shape shapes[] = {{1, 1}, {67, 33}, {96, 130}, {130, 300}};

TEST(ProductRun, ARowHasTheSameBitsAmongAnyNumberOfRowsAndThreads) {
  at::manual_seed(3);
  constexpr int64_t most = 260;
  for (const auto& [inputs, outputs] : shapes) {
    for (const auto [precision, fine_inputs] : kinds()) {
      const Product product(at::randn({outputs, inputs}), at::randn({outputs}), precision, Product::By::kernels,
                            {.fine_inputs = fine_inputs});
      const auto x = at::randn({most, inputs}).to(type_of(precision));
      std::vector<at::Tensor> alone;
      for (int64_t i = 0; i < most; i++) alone.push_back(run(product, x.narrow(0, i, 1), 1));
      const auto expected = at::cat(alone);
      for (const int64_t rows : {2, 3, 5, 7, 8, 11, 12, 13, 16, 23, 31, 64, 119, 120, 121, 250}) {
        const int64_t first = most - rows;
        for (const int threads : {1, 2, 3}) {
          const auto found = run(product, x.narrow(0, first, rows), threads);
          EXPECT_TRUE(at::equal(found, expected.narrow(0, first, rows))) << rows << " rows, " << threads << " threads";
        }
      }
      EXPECT_TRUE(at::equal(product(x), expected));
    }
  }
}

TEST(ProductRun, AnActivationFollowsTheProduct) {
  at::manual_seed(4);
  for (const auto [precision, fine_inputs] : kinds()) {
    const Product product(at::randn({300, 96}), at::randn({300}), precision, Product::By::kernels,
                          {.fine_inputs = fine_inputs});
    const auto x = at::randn({21, 96}).to(type_of(precision));
    for (const auto kind : {Activation::gelu_tanh, Activation::relu, Activation::silu, Activation::tanh}) {
      for (const int threads : {1, 3}) {
        EXPECT_TRUE(at::equal(run(product, x, threads, kind), activation(run(product, x, 1), kind)));
      }
      EXPECT_TRUE(at::equal(product.activated(x, kind), run(product, x, 1, kind)));
    }
    EXPECT_TRUE(at::equal(product.activated(x, Activation::gelu), run(product, x, 2, Activation::gelu)));
  }
}

// Weights that int8 represents exactly, so that only the inputs are rounded.
TEST(ProductRun, FineInputsKeepSmallValuesBesideOutliers) {
  at::manual_seed(6);
  for (const auto& [inputs, outputs] : shapes) {
    auto weight = at::randint(-1, 2, {outputs, inputs}).to(at::kFloat);
    weight.select(1, 0).fill_(1);
    auto x = at::randn({9, inputs});
    x.select(1, inputs - 1).mul_(100);
    const auto bias = at::randn({outputs});
    const auto exact = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
    const auto error = [&](bool fine_inputs) {
      const Product product(weight, bias, Precision::int8, Product::By::kernels, {.fine_inputs = fine_inputs});
      return (run(product, x, 2) - exact).norm().item<double>() / exact.norm().item<double>();
    };
    EXPECT_LT(error(true), 1e-4);
    if (inputs > 1) {
      EXPECT_GT(error(false), 100 * error(true));
    }
  }
}

TEST(ProductRun, NoRowsAreNoWork) {
  for (const auto precision : precisions()) {
    const Product product(at::randn({5, 4}), {}, precision, Product::By::kernels);
    EXPECT_EQ(run(product, at::empty({0, 4}, type_of(precision)), 2).numel(), 0);
  }
}

TEST(ProductRun, RowsOfTheWeightComeBackAsTheyWereRounded) {
  at::manual_seed(5);
  for (const auto& [inputs, outputs] : shapes) {
    const auto weight = at::randn({outputs, inputs});
    std::vector<int32_t> ids(outputs);
    std::iota(ids.rbegin(), ids.rend(), 0);
    ids.push_back(0);
    const auto expected = weight.index_select(0, at::tensor(at::ArrayRef<int32_t>(ids)));
    for (const auto precision : precisions()) {
      const Product product(weight, {}, precision, Product::By::kernels);
      auto rows = at::full_like(expected, NAN);
      product.rows_of(ids, rows.data_ptr<float>());
      if (precision == Precision::int8) {
        // half a step; a weight has at least 63 of them
        const auto step = expected.abs().amax({1}, true) / 63;
        EXPECT_TRUE(((rows - expected).abs() <= step * 0.51).all().item<bool>());
      } else {
        EXPECT_TRUE(at::equal(rows, expected.to(type_of(precision)).to(at::kFloat)));
      }
    }
  }
}

}  // namespace
}  // namespace sartor::transformer
