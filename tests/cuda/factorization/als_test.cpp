// Compares als_update on every backend with the normal equations in double precision.
#include "factorization/als.h"

#include <gmock/gmock.h>

#include "support/als_solutions.h"

namespace sartor::cuda {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Regularization small enough to reveal errors in the equations.
constexpr AlsParams little = {.regularization = 0.05f, .bias_regularization = 0.05f, .regularization_power = 1};

struct Shape {
  int64_t factors;
  bool biased;
  float power;
};
std::string name(const Shape& shape) {
  return fmt::format("{}_factors_{}_power_{}", shape.factors, shape.biased ? "biased" : "plain", int(shape.power * 10));
}

class AlsShape : public BackendTest<Shape> {};

// Sizes around the vectors of 8 or 16 lanes, the GPU tiles of 64 columns, and the CPU panels of 128 ratings.
INSTANTIATE_BACKENDS(AlsShape, Shape{1, true, 1}, Shape{7, false, 1}, Shape{8, true, 0}, Shape{15, true, 1},
                     Shape{16, false, 0.5}, Shape{17, true, 0.5}, Shape{33, true, 1}, Shape{64, true, 1},
                     Shape{65, false, 0}, Shape{100, true, 1}, Shape{128, true, 0.5}, Shape{129, true, 1});

TEST_P(AlsShape, SolvesTheNormalEquations) {
  const auto& [factors, biased, power] = shape();
  std::vector<int64_t> sizes = {0, 1, 2, 5, 16, 17, 31, 64, 65, 127, 129, 260};
  for (int64_t near = -17; near <= 17; near++) {  // around the switch from the dual to the primal system
    if (near * near <= 1 || near % 8 == 0) sizes.push_back(std::max<int64_t>(factors + near, 0));
  }
  const auto problem = problem_with(sizes, factors, biased, factors);
  const AlsParams params = {.regularization = 0.05, .bias_regularization = 0.02, .regularization_power = power};
  expect_near(run_als(context(), problem, params), naive_als(problem, params), 1e-4);
}

class Als : public BackendTest<> {};
INSTANTIATE_BACKENDS(Als, NoShape{});

TEST_P(Als, ManyFactors) {
  const auto problem = problem_with({3, 299, 330}, 300, true, 1);
  expect_near(run_als(context(), problem, little), naive_als(problem, little), 1e-4);
}

TEST_P(Als, LongRow) {
  const auto problem = problem_with({20011}, 20, true, 2);
  const AlsParams params = {.regularization = 0.5, .bias_regularization = 0.5, .regularization_power = 0};
  expect_near(run_als(context(), problem, params), naive_als(problem, params), 1e-4);
}

TEST_P(Als, GradientIsZeroAtTheSolution) {
  const auto problem = problem_with({4, 25, 90}, 24, true, 3);
  const AlsParams params = little;
  const auto solution = run_als(context(), problem, params);
  for (int64_t row = 0; row < problem.rows(); row++) {
    const double least = als_loss(problem, row, solution[row], params);
    for (int64_t i = 0; i < problem.unknowns(); i++) {
      constexpr double step = 1e-3;
      auto above = solution[row], below = solution[row];
      above[i] += step;
      below[i] -= step;
      const double slope = (als_loss(problem, row, above, params) - als_loss(problem, row, below, params)) / (2 * step);
      EXPECT_NEAR(slope, 0, 1e-4 * least) << "row " << row << ", unknown " << i;
    }
  }
}

// Ratings equal to the mean for columns of zeros do not change the solution without a bias, but make the row long
// enough for the primal system.
TEST_P(Als, DualEqualsPrimal) {
  constexpr int64_t factors = 48, zeros = 60;
  auto problem = problem_with({1, 7, 20, 31, 32}, factors, false, 4), padded = problem;
  padded.offsets = {0};
  padded.columns.clear();
  padded.values.clear();
  padded.fixed.rows += zeros;
  padded.fixed.values.resize(padded.fixed.rows * factors);
  for (int64_t row = 0; row < problem.rows(); row++) {
    const int64_t begin = problem.offsets[row], end = problem.offsets[row + 1];
    std::vector<int32_t> rated(problem.columns.begin() + begin, problem.columns.begin() + end);
    std::vector<float> ratings(problem.values.begin() + begin, problem.values.begin() + end);
    for (int32_t i = 0; i < zeros; i++) rated.push_back(problem.fixed.rows + i);
    ratings.resize(rated.size(), problem.mean);
    padded.add_row(rated, ratings);
  }
  const AlsParams params = {.regularization = 0.1, .bias_regularization = 0.05, .regularization_power = 0};
  expect_near(run_als(context(), problem, params), run_als(context(), padded, params), 1e-5);
}

struct Sides {
  AlsProblem users, items;  // the solved factors of each are the fixed factors of the other
};

// One epoch.
void train(Context& context, Sides& sides, const AlsParams& params) {
  const auto update = [&](const AlsProblem& from, AlsProblem& to) {
    const auto solution = run_als(context, from, params);
    for (int64_t row = 0; row < from.rows(); row++) {
      for (int64_t i = 0; i < from.fixed.columns; i++) to.fixed.row(row)[i] = solution[row][i];
      if (from.biased()) to.fixed_bias[row] = solution[row].back();
    }
  };
  update(sides.users, sides.items);
  update(sides.items, sides.users);
}

// Ratings (users, items) of the pairs for which `rated` is true.
template <class Rated> Sides sides_of(const Matrix& ratings, int64_t factors, bool biased, float mean, Rated rated) {
  Sides sides;
  sides.users.mean = sides.items.mean = mean;
  sides.users.fixed = normal_rows(ratings.columns, factors, 1);
  sides.items.fixed = Matrix(ratings.rows, factors);
  if (biased) {
    sides.users.fixed_bias.resize(ratings.columns);
    sides.items.fixed_bias.resize(ratings.rows);
  }
  const auto add = [&](AlsProblem& side, int64_t rows, int64_t columns, auto rating) {
    for (int64_t row = 0; row < rows; row++) {
      std::vector<int32_t> indices;
      std::vector<float> values;
      for (int32_t column = 0; column < columns; column++) {
        if (const float* value = rating(row, column)) {
          indices.push_back(column);
          values.push_back(*value);
        }
      }
      side.add_row(indices, values);
    }
  };
  const auto at = [&](int64_t user, int64_t item) { return rated(user, item) ? ratings.row(user) + item : nullptr; };
  add(sides.users, ratings.rows, ratings.columns, at);
  add(sides.items, ratings.columns, ratings.rows, [&](int64_t item, int64_t user) { return at(user, item); });
  return sides;
}

TEST_P(Als, LossNeverRises) {
  constexpr int64_t users = 20, items = 15, factors = 4;
  const auto ratings = normal_rows(users, items, 5);
  auto sides =
      sides_of(ratings, factors, true, 0, [](int64_t user, int64_t item) { return (user * 7 + item * 3) % 4 != 0; });
  const AlsParams params = {.regularization = 0.3, .bias_regularization = 0.2, .regularization_power = 1};
  // Joint loss of both sides: the loss of the users plus the regularization of the items.
  const auto loss = [&] {
    double total = 0;
    for (int64_t user = 0; user < users; user++) {
      std::vector<double> x(sides.items.fixed.row(user), sides.items.fixed.row(user) + factors);
      x.push_back(sides.items.fixed_bias[user]);
      total += als_loss(sides.users, user, x, params);
    }
    for (int64_t item = 0; item < items; item++) {
      for (int64_t i = 0; i <= factors; i++) {
        const double value = i < factors ? sides.users.fixed.row(item)[i] : sides.users.fixed_bias[item];
        total += als_penalty(sides.items, item, i, params) * value * value;
      }
    }
    return total;
  };
  double before = INFINITY;
  for (int epoch = 0; epoch < 8; epoch++) {
    train(context(), sides, params);
    const double now = loss();
    EXPECT_LT(now, before * (1 + 1e-6)) << "epoch " << epoch;
    before = now;
  }
}

// Ratings of 0 are observations: the best rank-2 approximation has the error of the singular values 4 and 2, sqrt(20).
TEST_P(Als, RankTwoOfAFullMatrix) {
  const Matrix ratings(4, 4, {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5});
  auto sides = sides_of(ratings, 2, false, 0, [](int64_t, int64_t) { return true; });
  for (int epoch = 0; epoch < 60; epoch++) {
    train(context(), sides, {.regularization = 0, .bias_regularization = 0, .regularization_power = 0});
  }
  double squares = 0;
  for (int64_t user = 0; user < 4; user++) {
    for (int64_t item = 0; item < 4; item++) {
      const float *x = sides.items.fixed.row(user), *y = sides.users.fixed.row(item);
      squares += std::pow(ratings.row(user)[item] - (double(x[0]) * y[0] + double(x[1]) * y[1]), 2);
    }
  }
  EXPECT_NEAR(std::sqrt(squares), 4.472136, 1e-5);
}

// With fewer ratings than factors, the result is the minimum-norm solution.
TEST_P(Als, WithoutRegularizationTheShortestFit) {
  for (const bool biased : {false, true}) {
    const auto problem = problem_with({1, 5, 20}, 32, biased, 6);
    const AlsParams params = {.regularization = 0, .bias_regularization = 0};
    expect_near(run_als(context(), problem, params), naive_als(problem, params, 1e-7), 1e-3);
  }
}

// More ratings than factors, but one factor is the sum of two others and one is always zero.
TEST_P(Als, DependentFactorsGetAShift) {
  auto problem = problem_with({40, 300}, 12, false, 7);
  for (int64_t column = 0; column < problem.fixed.rows; column++) {
    float* y = problem.fixed.row(column);
    y[3] = y[1] + y[2];
    y[7] = 0;
  }
  const AlsParams params = {.regularization = 0, .bias_regularization = 0};
  const auto found = run_als(context(), problem, params), expected = naive_als(problem, params, 1e-6);
  for (int64_t row = 0; row < problem.rows(); row++) {
    EXPECT_LT(als_loss(problem, row, found[row], params), als_loss(problem, row, expected[row], params) * (1 + 1e-4));
    EXPECT_LT(largest(found[row]), 10 * largest(expected[row]));
  }
}

TEST_P(Als, ZeroFeaturesGiveZeroFactors) {
  auto problem = problem_with({3, 40}, 9, false, 8);
  std::ranges::fill(problem.fixed.values, 0);
  for (const float regularization : {0.f, 0.1f}) {
    AlsParams params = little;
    params.regularization = regularization;
    for (const auto& row : run_als(context(), problem, params)) EXPECT_THAT(row, Each(0));
  }
}

TEST_P(Als, RowsWithoutRatingsAreZero) {
  const auto solution = run_als(context(), problem_with({0, 3, 0}, 5, true, 9), little);
  EXPECT_THAT(solution[0], Each(0));
  EXPECT_THAT(solution[2], Each(0));
}

TEST_P(Als, NoRowsOrNoColumns) {
  auto problem = problem_with({4}, 3, true, 10);
  problem.offsets = {0};
  EXPECT_TRUE(run_als(context(), problem, little).empty());

  const auto offsets = upload(context(), std::vector<int64_t>(3, 0));
  const auto x = upload(context(), std::vector<float>(6, NAN)), b = upload(context(), std::vector<float>(2, NAN));
  als_update(context(), {.ratings = {2, offsets.data(), nullptr, nullptr},
                         .fixed = {nullptr, 0, 3},
                         .solved = {x.data(), 2, 3},
                         .solved_bias = b.data()});
  EXPECT_THAT(x.to_host(), Each(0));
  EXPECT_THAT(b.to_host(), Each(0));
}

TEST_P(Als, NotFiniteGivesNotANumber) {
  auto problem = problem_with({4, 50}, 9, true, 13);
  std::ranges::fill(problem.fixed.values, INFINITY);
  for (const auto& row : run_als(context(), problem, little)) EXPECT_THAT(row, Each(::testing::IsNan()));
}

TEST_P(Als, SameBitsOnEveryRun) {
  const auto problem = problem_with({40, 3, 200, 17, 90, 0, 31}, 32, true, 11);
  EXPECT_EQ(run_als(context(), problem, little), run_als(context(), problem, little));
}

TEST_P(Als, NamesWhatIsWrong) {
  const int64_t offsets[] = {0, 0, 0};
  const DeviceBuffer<float> memory(context(), 100);
  const auto rows = [&](int64_t count, int64_t f) { return Rows<float>{memory.data(), count, f}; };
  const AlsTask good = {.ratings = {2, offsets, nullptr, nullptr}, .fixed = rows(5, 4), .solved = rows(2, 4)};
  const auto refused = [&](const auto& change, const char* text) {
    AlsTask task = good;
    change(task);
    EXPECT_THAT([&] { als_update(context(), task); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  refused([&](AlsTask& task) { task.solved = rows(2, 3); }, "als_update: fixed has 4 factors, solved 3");
  refused(
      [&](AlsTask& task) {
        task.fixed = rows(5, 0);
        task.solved = rows(2, 0);
      },
      "als_update: 0 factors, expected 1 or more");
  refused([&](AlsTask& task) { task.solved = rows(3, 4); }, "als_update: ratings have 2 rows, solved 3");
  refused([&](AlsTask& task) { task.fixed_bias = memory.data(); }, "als_update: fixed has a bias, solved has none");
  refused([&](AlsTask& task) { task.solved_bias = memory.data(); }, "als_update: fixed has no bias, solved has one");
  refused([](AlsTask& task) { task.params.regularization = -0.5; },
          "als_update: regularization is -0.5, expected 0 or more");
  refused([](AlsTask& task) { task.params.bias_regularization = -2; },
          "als_update: bias_regularization is -2, expected 0 or more");
  refused([](AlsTask& task) { task.params.regularization_power = 1.5; },
          "als_update: regularization_power is 1.5, expected 0 to 1");
}

TEST(AlsThreads, SameBitsForAnyNumber) {
  std::vector<int64_t> sizes;
  for (int64_t row = 0; row < 97; row++) sizes.push_back(row * row % 120);
  const auto problem = problem_with(sizes, 40, true, 12);
  for (const Isa isa : {Isa::v3, Isa::v4}) {
    if (!supported(isa)) continue;
    auto one = Context::cpu(1, isa);
    const auto expected = run_als(one, problem, little);
    for (const int threads : {2, 3}) {
      auto several = Context::cpu(threads, isa);
      EXPECT_EQ(run_als(several, problem, little), expected) << cuda::name(isa) << ", " << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace sartor::cuda
