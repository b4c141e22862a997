// Compares nonnegative_update on every instruction set of the CPU with the same steps in double precision, and checks
// its loss and its optimum.
#include "factorization/nonnegative/nonnegative.h"

#include <gmock/gmock.h>

#include "support/backends.h"
#include "support/naive_als.h"

namespace sartor::cuda {
namespace {

using ::testing::Each;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr auto projected = NonnegativeSolver::projected, multiplicative = NonnegativeSolver::multiplicative;

struct Problem {
  AlsProblem ratings;  // without fixed_bias
  bool biases = false, zeros = false;
  NonnegativeParams params;

  int64_t columns() const { return ratings.fixed.columns; }
  double feature(int64_t column, int64_t i) const {
    return biases && i == columns() - 1 ? 1 : ratings.fixed.row(column)[i];
  }
  double penalty(int64_t row, int64_t i) const {
    return (biases && i == columns() - 1 ? params.bias_regularization : params.regularization) *
           std::pow(ratings.count(row), params.regularization_power);
  }
  // Targets of a row: of its ratings, and 0 for all other columns if they count.
  std::vector<std::pair<int64_t, double>> targets(int64_t row) const {
    std::vector<std::pair<int64_t, double>> found;
    for (int64_t k = ratings.offsets[row]; k < ratings.offsets[row + 1]; k++) {
      const int64_t column = ratings.columns[k];
      const double bias = biases ? ratings.fixed.row(column)[columns() - 1] : 0;
      found.emplace_back(column, ratings.values[k] - ratings.mean - bias);
    }
    for (int64_t column = 0; zeros && column < ratings.fixed.rows; column++) {
      const auto same = [&](const auto& target) { return target.first == column; };
      if (std::ranges::none_of(found, same)) found.emplace_back(column, 0);
    }
    return found;
  }
  double loss(int64_t row, std::span<const double> x) const {
    double loss = 0;
    for (const auto& [column, target] : targets(row)) {
      double rest = target;
      for (int64_t i = 0; i < columns(); i++) rest -= x[i] * feature(column, i);
      loss += rest * rest;
    }
    for (int64_t i = 0; i < columns(); i++) loss += penalty(row, i) * x[i] * x[i];
    return loss;
  }
  // The steps of the solver.
  void update(int64_t row, std::vector<double>& x) const {
    const int64_t f = columns();
    std::vector<double> a(f * f), b(f);
    for (const auto& [column, target] : targets(row)) {
      for (int64_t i = 0; i < f; i++) {
        b[i] += feature(column, i) * target;
        for (int64_t j = 0; j < f; j++) a[i * f + j] += feature(column, i) * feature(column, j);
      }
    }
    for (int64_t i = 0; i < f; i++) a[i * f + i] += penalty(row, i);
    for (int64_t step = 0; step < params.steps; step++) {
      const auto before = x;
      for (int64_t i = 0; i < f; i++) {
        const auto& from = params.solver == projected ? x : before;
        double product = 0;
        for (int64_t j = 0; j < f; j++) product += a[i * f + j] * from[j];
        if (params.solver == projected) {
          x[i] += (b[i] - product) / a[i * f + i];
          if (x[i] < 0 && !(biases && i == f - 1)) x[i] = 0;
        } else {
          x[i] *= product == 0 ? 0 : b[i] / product;
        }
      }
    }
  }
};

Problem problem_with(const std::vector<int64_t>& sizes, int64_t f, uint64_t seed) {
  Problem problem;
  const int64_t columns = std::max<int64_t>(20, *std::max_element(sizes.begin(), sizes.end()));
  problem.ratings.fixed = normal_rows(columns, f, seed);
  for (float& value : problem.ratings.fixed.values) value = std::abs(value) / std::sqrt(static_cast<float>(f));
  for (const int64_t size : sizes) {
    auto chosen = permutation(columns, seed + 2 + size);
    chosen.resize(size);
    std::sort(chosen.begin(), chosen.end());
    std::vector<float> values;
    for (const int32_t column : chosen) values.push_back(static_cast<float>(1 + (column * 7 + size) % 5));
    problem.ratings.add_row(chosen, values);
  }
  return problem;
}

std::vector<float> start_of(const Problem& problem) {
  auto start = normals(problem.ratings.rows() * problem.columns(), 99);
  for (float& value : start) value = std::abs(value);
  return start;
}

std::vector<float> run(Context& context, const Problem& problem, const std::vector<float>& start) {
  const auto& ratings = problem.ratings;
  const int64_t f = problem.columns();
  std::vector<float> gram(f * f, NAN);  // below the diagonal
  for (int64_t i = 0; i < f; i++) {
    for (int64_t j = i; j < f; j++) {
      gram[i * f + j] = 0;
      for (int64_t c = 0; c < ratings.fixed.rows; c++)
        gram[i * f + j] += ratings.fixed.row(c)[i] * ratings.fixed.row(c)[j];
    }
  }
  const auto offsets = upload(context, ratings.offsets);
  const auto columns = upload(context, ratings.columns);
  const auto values = upload(context, ratings.values);
  const DeviceRows fixed(context, ratings.fixed);
  const auto solved = upload(context, start);
  nonnegative_update(context, {.ratings = {ratings.rows(), offsets.data(), columns.data(), values.data()},
                               .mean = ratings.mean,
                               .biases = problem.biases,
                               .fixed = fixed.view(),
                               .gram = problem.zeros ? gram.data() : nullptr,
                               .solved = {solved.data(), ratings.rows(), f},
                               .params = problem.params});
  return solved.to_host();
}

std::vector<double> row_of(const std::vector<float>& rows, int64_t row, int64_t f) {
  return {rows.begin() + row * f, rows.begin() + (row + 1) * f};
}

struct Shape {
  int64_t columns;
  NonnegativeSolver solver;
  bool zeros, biases;
};
std::string name(const Shape& shape) {
  return fmt::format("columns_{}{}{}{}", shape.columns, shape.solver == projected ? "_projected" : "_multiplicative",
                     shape.zeros ? "_zeros" : "", shape.biases ? "_biases" : "");
}

#define INSTANTIATE_CPUS(suite, ...)                                                                                   \
  INSTANTIATE_TEST_SUITE_P(                                                                                            \
      , suite,                                                                                                         \
      ::testing::Combine(::testing::Values(TestBackend::cpu_v3, TestBackend::cpu_v4), ::testing::Values(__VA_ARGS__)), \
      [](const auto& info) { return backend_test_name(info); })

class NonnegativeShape : public BackendTest<Shape> {
 protected:
  Problem problem(int64_t steps) const {
    std::vector<int64_t> sizes = {300, 0, 128, 129};
    for (int64_t size = 0; size < 40; size++) sizes.push_back(size % 37);
    Problem made = problem_with(sizes, shape().columns, 5 + shape().columns);
    made.biases = shape().biases;
    made.zeros = shape().zeros;
    if (made.biases) made.ratings.mean = 3;
    made.params = {.solver = shape().solver, .regularization = 0.3f, .bias_regularization = 0.7f, .steps = steps};
    return made;
  }
};
INSTANTIATE_CPUS(NonnegativeShape, Shape{1, projected, false, false}, Shape{1, multiplicative, true, false},
                 Shape{2, projected, false, true}, Shape{7, projected, true, false},
                 Shape{8, multiplicative, false, false}, Shape{16, projected, false, true},
                 Shape{17, multiplicative, true, false}, Shape{33, projected, false, false},
                 Shape{64, projected, true, false}, Shape{100, projected, false, true});

TEST_P(NonnegativeShape, TakesTheStepsOfTheSolver) {
  const auto made = problem(2);
  const auto start = start_of(made), found = run(context(), made, start);
  const int64_t f = made.columns();
  for (int64_t row = 0; row < made.ratings.rows(); row++) {
    if (made.ratings.count(row) == 0 && !made.zeros) continue;
    auto x = row_of(start, row, f);
    made.update(row, x);
    double most = 0;
    for (const double value : x) most = std::max(most, std::abs(value));
    for (int64_t i = 0; i < f; i++) ASSERT_NEAR(found[row * f + i], x[i], 2e-4 * most + 2e-5) << row << ", " << i;
  }
}

TEST_P(NonnegativeShape, LossNeverRisesAndFactorsAreNotNegative) {
  const auto made = problem(1);
  const int64_t f = made.columns();
  auto x = start_of(made);
  for (int epoch = 0; epoch < 6; epoch++) {
    const auto before = x;
    x = run(context(), made, x);
    for (int64_t row = 0; row < made.ratings.rows(); row++) {
      const double old = made.loss(row, row_of(before, row, f)), now = made.loss(row, row_of(x, row, f));
      ASSERT_LE(now, old + 1e-4 * (1 + old)) << row;
      for (int64_t i = 0; i < f - made.biases; i++) ASSERT_GE(x[row * f + i], 0);
    }
  }
}

class Nonnegative : public BackendTest<> {};
INSTANTIATE_CPUS(Nonnegative, NoShape{});

// The slope is 0 for positive factors and not negative for those that are 0.
TEST_P(Nonnegative, ManyStepsReachTheOptimum) {
  auto problem = problem_with({12, 40, 200}, 10, 1);
  problem.params = {.regularization = 0.5f, .steps = 500};
  for (size_t k = 0; k < problem.ratings.values.size(); k++) {  // falls with factor 1, whose optimum is thus 0
    const float* y = problem.ratings.fixed.row(problem.ratings.columns[k]);
    problem.ratings.values[k] = 3 * y[0] - 2 * y[1];
  }
  const auto x = run(context(), problem, start_of(problem));
  int64_t zeros = 0;
  for (int64_t row = 0; row < 3; row++) {
    auto at = row_of(x, row, 10);
    for (int64_t i = 0; i < 10; i++) {
      const double step = 1e-3, value = at[i];
      at[i] = value + step;
      const double above = problem.loss(row, at);
      at[i] = value - step;
      const double slope = (above - problem.loss(row, at)) / (2 * step);
      at[i] = value;
      if (i == 1) zeros += value == 0;
      EXPECT_GE(slope, -0.05);
      EXPECT_LE(slope, value > 0 ? 0.05 : INFINITY);
    }
  }
  EXPECT_EQ(zeros, 3);
}

TEST_P(Nonnegative, RowsDoNotDependOnThreads) {
  std::vector<int64_t> sizes;
  for (int64_t row = 0; row < 90; row++) sizes.push_back(row * 5 % 41);
  const auto problem = problem_with(sizes, 20, 3);
  auto one_thread = Context::cpu(1, isa());
  EXPECT_EQ(run(one_thread, problem, start_of(problem)), run(context(), problem, start_of(problem)));
}

TEST_P(Nonnegative, RowsWithoutRatingsAndFeaturesOfZeroGiveZero) {
  auto problem = problem_with({0, 30}, 5, 4);
  for (int64_t column = 0; column < problem.ratings.fixed.rows; column++) problem.ratings.fixed.row(column)[2] = 0;
  problem.params.regularization = 0;
  for (const auto solver : {projected, multiplicative}) {
    problem.params.solver = solver;
    const auto x = run(context(), problem, start_of(problem));
    EXPECT_THAT(std::span(x).first(5), Each(0));
    EXPECT_EQ(x[7], 0);
    EXPECT_GT(x[5] + x[6] + x[8] + x[9], 0);
  }
}

TEST(NonnegativeUpdate, RefusesBadArguments) {
  auto context = Context::cpu(1);
  float values[16] = {1};
  const int64_t offsets[2] = {0, 0};
  const NonnegativeTask good = {
      .ratings = {1, offsets, nullptr, nullptr}, .fixed = {values, 1, 2}, .solved = {values, 1, 2}};
  const auto expect = [&](auto change, const char* text) {
    NonnegativeTask task = good;
    change(task);
    EXPECT_THAT([&] { nonnegative_update(context, task); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  expect([](auto& task) { task.fixed.columns = 3; }, "fixed has 3 columns, solved 2");
  expect([](auto& task) { task.fixed.columns = task.solved.columns = 0; }, "0 columns, expected 1 or more");
  expect([](auto& task) { task.solved.rows = 3; }, "ratings have 1 rows, solved 3");
  expect([](auto& task) { task.params.regularization = -1; }, "regularization is -1");
  expect([](auto& task) { task.params.bias_regularization = -1; }, "bias_regularization is -1");
  expect([](auto& task) { task.params.regularization_power = 2; }, "regularization_power is 2");
  expect([](auto& task) { task.params.steps = 0; }, "steps is 0");
  expect([&](auto& task) { task.biases = true, task.gram = values; }, "biases are combined");
}

}  // namespace
}  // namespace sartor::cuda
