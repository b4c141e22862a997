// Draws of the parameters of a prior, and the random numbers behind them.
#include "models/factorization/bayesian/row_prior.h"

#include <gmock/gmock.h>

#include "support/folder_test.h"

namespace sartor {
namespace {

using ::testing::ElementsAreArray;

// Mean and variance of a gamma distribution of rate 1 are its shape.
TEST(RandomStream, GammaNumbersHaveTheirMoments) {
  for (const double shape : {0.3, 1.0, 2.5, 40.0, 40000.0}) {
    RandomStream random(1, 2, 3);
    constexpr int count = 20000;
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++) {
      const double x = random.gamma(shape);
      ASSERT_GT(x, 0);
      sum += x;
      squares += (x - shape) * (x - shape);
    }
    EXPECT_NEAR(sum / count, shape, 5 * std::sqrt(shape / count));
    EXPECT_NEAR(squares / count, shape, 0.2 * shape);
  }
}

TEST(RandomStream, DependsOnSeedStepAndPurpose) {
  const double first = RandomStream(1, 2, 3).normal();
  EXPECT_EQ(RandomStream(1, 2, 3).normal(), first);
  EXPECT_NE(RandomStream(2, 2, 3).normal(), first);
  EXPECT_NE(RandomStream(1, 3, 3).normal(), first);
  EXPECT_NE(RandomStream(1, 2, 4).normal(), first);
}

TEST(SquareMatrix, TrianglesSolveTheSystem) {
  SquareMatrix a(3);
  a.values = {4, 2, 1, 2, 5, 3, 1, 3, 6};
  const SquareMatrix lower = cholesky(a);
  std::vector<double> x = {1, -2, 3};
  solve_lower(lower, x);
  solve_upper(lower, x);
  const std::vector<double> b = {1, -2, 3};
  for (int64_t i = 0; i < 3; i++) {
    double product = 0;
    for (int64_t j = 0; j < 3; j++) product += a(i, j) * x[j];
    EXPECT_NEAR(product, b[i], 1e-12);
  }
}

// Rows N(mean + weights^T x, deviations^2) of two numbers, the second of which follows the first.
struct Planted {
  static constexpr int64_t rows = 4000;
  std::vector<float> values;
  RowFeatures features = {.columns = 2};

  Planted() {
    for (int64_t row = 0; row < rows; row++) {
      const float has = row % 3 == 0, number = static_cast<float>(random_normal(5, row));
      const auto a = static_cast<float>(1 + 2 * has - number + 0.5 * random_normal(7, row));
      values.push_back(a);
      values.push_back(static_cast<float>(-3 + 0.5 * number + 0.25 * random_normal(9, row)));
      if (has > 0) features.places.push_back(0), features.values.push_back(1);
      features.places.push_back(1), features.values.push_back(number);
      features.offsets.push_back(std::ssize(features.places));
    }
  }
  cuda::DeviceBuffer<float> on(cuda::Context& context) const { return {context, std::span(values)}; }
};

TEST(RowPrior, FindsMeansPrecisionsAndWeightsOfFeatures) {
  const Planted planted;
  auto context = cuda::Context::cpu(2);
  RowPrior prior(2, planted.features);
  std::vector<double> precision(4), mean_with(2), mean_without(2);
  constexpr int sweeps = 60;
  for (int sweep = 1; sweep <= sweeps + 10; sweep++) {
    RandomStream random(3, sweep, 1);
    prior.draw(random, context, planted.on(context));
    if (sweep <= 10) continue;
    const auto drawn = prior.precision();
    for (int i = 0; i < 4; i++) precision[i] += drawn[i] / sweeps;
    // precision^-1 pull of rows 0 (with the category) and 1
    const double determinant = drawn[0] * drawn[3] - drawn[1] * drawn[2];
    const auto solve = [&](const std::vector<float>& pull, std::vector<double>& mean, int64_t row) {
      const double number = planted.features.values[planted.features.offsets[row + 1] - 1];
      mean[0] += ((drawn[3] * pull[0] - drawn[1] * pull[1]) / determinant + number) / sweeps;
      mean[1] += ((drawn[0] * pull[1] - drawn[2] * pull[0]) / determinant - 0.5 * number) / sweeps;
    };
    solve(prior.pull(0, 1), mean_with, 0);
    solve(prior.pull(1, 2), mean_without, 1);
  }
  EXPECT_NEAR(precision[0], 4, 0.3);
  EXPECT_NEAR(precision[3], 16, 1.2);
  EXPECT_NEAR(precision[1], 0, 0.5);
  EXPECT_NEAR(mean_with[0], 3, 0.05);
  EXPECT_NEAR(mean_without[0], 1, 0.05);
  EXPECT_NEAR(mean_with[1], -3, 0.05);
  EXPECT_NEAR(mean_without[1], -3, 0.05);
}

TEST(RowPrior, HasOnePullForAllRowsWithoutFeatures) {
  const Planted planted;
  auto context = cuda::Context::cpu(1);
  RowPrior prior(2, {});
  RandomStream random(3, 1, 1);
  prior.draw(random, context, planted.on(context));
  EXPECT_EQ(prior.pull(0, Planted::rows).size(), 2u);
  EXPECT_EQ(prior.pull(7, 9), prior.pull(0, 1));
  const auto average = prior.average();
  EXPECT_NEAR(average[0], 1 + 2.0 / 3, 0.2);
  EXPECT_NEAR(average[1], -3, 0.1);
}

class RowPriorFile : public testing::FolderTest {};

TEST_F(RowPriorFile, ContinuesWithTheSameNumbers) {
  const Planted planted;
  auto context = cuda::Context::cpu(1);
  RowPrior prior(2, planted.features), other(2, planted.features);
  RandomStream first(3, 1, 1);
  prior.draw(first, context, planted.on(context));
  auto file = datasets::Hdf5File::create(path("先验.h5"));
  prior.save(file, "users");
  file.close();
  other.load(datasets::Hdf5File::open(path("先验.h5")), "users");
  EXPECT_EQ(other.pull(0, 9), prior.pull(0, 9));
  for (RowPrior* each : {&prior, &other}) {
    RandomStream second(3, 2, 1);
    each->draw(second, context, planted.on(context));
  }
  EXPECT_EQ(other.precision(), prior.precision());
  EXPECT_EQ(other.pull(0, 9), prior.pull(0, 9));
}

}  // namespace
}  // namespace sartor
