// Compares draw_posterior on every backend with the same equations in double precision, and the
// distribution of its draws with the posterior.
#include "factorization/bayesian/posterior.h"

#include <gmock/gmock.h>

#include "support/backends.h"
#include "support/naive_als.h"

namespace sartor::cuda {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsNan;
using ::testing::ThrowsMessage;

struct Problem {
  AlsProblem ratings;  // without fixed_bias
  bool biases;
  float noise_precision = 2.5f;
  Matrix precision, pull;

  int64_t columns() const { return ratings.fixed.columns; }
  double feature(int64_t k, int64_t i) const {
    return biases && i == columns() - 1 ? 1 : ratings.fixed.row(ratings.columns[k])[i];
  }
  double residual(int64_t k) const {
    const float* y = ratings.fixed.row(ratings.columns[k]);
    return ratings.values[k] - ratings.mean - (biases ? y[columns() - 1] : 0);
  }
  // Matrix A and vector b of the posterior of a row.
  std::pair<std::vector<double>, std::vector<double>> system(int64_t row) const {
    const int64_t f = columns();
    std::vector<double> a(precision.values.begin(), precision.values.end());
    const float* shift = pull.row(pull.rows == 1 ? 0 : row);
    std::vector<double> b(shift, shift + f);
    for (int64_t k = ratings.offsets[row]; k < ratings.offsets[row + 1]; k++) {
      for (int64_t i = 0; i < f; i++) {
        b[i] += noise_precision * feature(k, i) * residual(k);
        for (int64_t j = 0; j < f; j++) a[i * f + j] += noise_precision * feature(k, i) * feature(k, j);
      }
    }
    return {a, b};
  }
};

// Rows of these sizes, with features of about length 1 and a prior of correlated numbers.
Problem problem_with(const std::vector<int64_t>& sizes, int64_t f, bool biases, bool shared_pull, uint64_t seed) {
  Problem problem = {.ratings = {}, .biases = biases, .precision = Matrix(f, f), .pull = {}};
  const int64_t columns = std::max<int64_t>(20, *std::max_element(sizes.begin(), sizes.end()));
  problem.ratings.mean = 3.5f;
  problem.ratings.fixed = normal_rows(columns, f, seed);
  for (float& value : problem.ratings.fixed.values) value /= std::sqrt(static_cast<float>(f));
  for (const int64_t size : sizes) {
    auto chosen = permutation(columns, seed + 2 + size);
    chosen.resize(size);
    std::sort(chosen.begin(), chosen.end());
    auto values = normals(size, seed + size);
    for (float& value : values) value += 3.5f;
    problem.ratings.add_row(chosen, values);
  }
  const auto root = normal_rows(f, f, seed + 1);
  for (int64_t i = 0; i < f; i++) {
    for (int64_t j = 0; j < f; j++) {
      for (int64_t k = 0; k < f; k++) problem.precision.row(i)[j] += root.row(k)[i] * root.row(k)[j] / f;
    }
    problem.precision.row(i)[i] += 1;
  }
  problem.pull = normal_rows(shared_pull ? 1 : std::ssize(sizes), f, seed + 3);
  return problem;
}

struct Drawn {
  std::vector<float> rows;
  std::vector<double> errors;
};

Drawn run(Context& context, const Problem& problem, bool draw, uint64_t seed = 1, int64_t first_row = 0) {
  const auto& ratings = problem.ratings;
  const auto offsets = upload(context, ratings.offsets);
  const auto columns = upload(context, ratings.columns);
  const auto values = upload(context, ratings.values);
  const DeviceRows fixed(context, ratings.fixed), precision(context, problem.precision), pull(context, problem.pull);
  const auto solved = upload(context, std::vector<float>(ratings.rows() * problem.columns(), 99));
  const auto errors = upload(context, std::vector<double>(ratings.rows(), -1));
  draw_posterior(context, {.ratings = {ratings.rows(), offsets.data(), columns.data(), values.data()},
                           .mean = ratings.mean,
                           .noise_precision = problem.noise_precision,
                           .biases = problem.biases,
                           .fixed = fixed.view(),
                           .precision = precision.view(),
                           .pull = pull.view(),
                           .draw = draw,
                           .seed = seed,
                           .first_row = first_row,
                           .solved = {solved.data(), ratings.rows(), problem.columns()},
                           .errors = errors.data()});
  return {solved.to_host(), errors.to_host()};
}

struct Shape {
  int64_t columns;
  bool biases, shared_pull;
};
std::string name(const Shape& shape) {
  return fmt::format("columns_{}{}{}", shape.columns, shape.biases ? "_biases" : "",
                     shape.shared_pull ? "_shared" : "");
}

class PosteriorShape : public BackendTest<Shape> {};
INSTANTIATE_BACKENDS(PosteriorShape, Shape{1, false, true}, Shape{2, true, false}, Shape{7, true, true},
                     Shape{8, false, false}, Shape{9, true, false}, Shape{16, true, false}, Shape{17, true, true},
                     Shape{33, true, false}, Shape{64, false, true}, Shape{131, true, true}, Shape{259, true, false});

// The means of the posterior and their errors.
void expect_equations(const Problem& problem, const Drawn& found) {
  const int64_t f = problem.columns();
  for (int64_t row = 0; row < problem.ratings.rows(); row++) {
    auto [a, x] = problem.system(row);
    eliminate(a, x);
    double most = 0, error = 0;
    for (const double value : x) most = std::max(most, std::abs(value));
    for (int64_t i = 0; i < f; i++) ASSERT_NEAR(found.rows[row * f + i], x[i], 1e-4 * most) << row << ", " << i;
    for (int64_t k = problem.ratings.offsets[row]; k < problem.ratings.offsets[row + 1]; k++) {
      double rest = problem.residual(k);
      for (int64_t i = 0; i < f; i++) rest -= x[i] * problem.feature(k, i);
      error += rest * rest;
    }
    ASSERT_NEAR(found.errors[row], error, 1e-4 * (1 + error)) << row;
  }
}

TEST_P(PosteriorShape, MeanAndErrorsEqualTheEquations) {
  std::vector<int64_t> sizes = {300, 0, 128, 129};
  for (int64_t size = 0; size < 40; size++) sizes.push_back(size % 37);
  if (shape().columns > 256) sizes.resize(9);
  const auto problem = problem_with(sizes, shape().columns, shape().biases, shape().shared_pull, 5 + shape().columns);
  expect_equations(problem, run(context(), problem, false));
}

class Posterior : public BackendTest<> {};
INSTANTIATE_BACKENDS(Posterior, NoShape{});

// On a GPU, several blocks share the ratings of a row.
TEST_P(Posterior, LongRowsEqualTheEquations) {
  const auto problem = problem_with({5000, 0, 4097, 2048, 1}, 5, true, false, 6);
  expect_equations(problem, run(context(), problem, false));
}

// Inverse of a matrix, column by column.
std::vector<double> inverse(const std::vector<double>& a, int64_t f) {
  std::vector<double> columns;
  for (int64_t i = 0; i < f; i++) {
    auto system = a;
    std::vector<double> unit(f);
    unit[i] = 1;
    eliminate(system, unit);
    columns.insert(columns.end(), unit.begin(), unit.end());
  }
  return columns;
}

TEST_P(Posterior, DrawsHaveTheMeanAndCovarianceOfThePosterior) {
  constexpr int64_t f = 3;
  const int64_t draws = backend() == TestBackend::gpu ? 4000 : 40000;
  auto problem = problem_with({6}, f, true, true, 11);
  const auto [a, b] = problem.system(0);
  auto mean = b;
  auto system = a;
  eliminate(system, mean);
  const auto covariance = inverse(a, f);
  const auto columns = problem.ratings.columns;
  const auto values = problem.ratings.values;
  for (int64_t row = 1; row < draws; row++) problem.ratings.add_row(columns, values);
  const auto found = run(context(), problem, true).rows;
  for (int64_t i = 0; i < f; i++) {
    double sum = 0;
    for (int64_t row = 0; row < draws; row++) sum += found[row * f + i];
    EXPECT_NEAR(sum / draws, mean[i], 5 * std::sqrt(covariance[i * f + i] / draws));
    for (int64_t j = 0; j < f; j++) {
      double products = 0;
      for (int64_t row = 0; row < draws; row++) {
        products += (found[row * f + i] - mean[i]) * (found[row * f + j] - mean[j]);
      }
      const double scale = std::sqrt(covariance[i * f + i] * covariance[j * f + j]);
      EXPECT_NEAR(products / draws, covariance[i * f + j], 6 * scale / std::sqrt(draws));
    }
  }
}

TEST_P(Posterior, RowsAloneHaveTheBitsOfAll) {
  std::vector<int64_t> sizes;
  for (int64_t row = 0; row < 90; row++) sizes.push_back(row * 5 % 41);
  const auto problem = problem_with(sizes, 20, true, false, 3);
  const auto all = run(context(), problem, true, 7);
  auto one_thread = Context::cpu(1, isa());
  const auto on_cpu = run(one_thread, problem, true, 7).rows;
  if (backend() == TestBackend::gpu) {
    EXPECT_THAT(all.rows, ::testing::Pointwise(::testing::FloatNear(1e-3f), on_cpu));
  } else {
    EXPECT_EQ(all.rows, on_cpu);
  }
  EXPECT_NE(run(context(), problem, true, 8).rows, all.rows);
  for (const int64_t row : {0, 1, 77, 89}) {
    Problem single = problem;
    single.ratings.offsets = {0};
    const auto begin = problem.ratings.offsets[row], count = problem.ratings.count(row);
    single.ratings.columns.clear();
    single.ratings.values.clear();
    single.ratings.add_row(std::span(problem.ratings.columns).subspan(begin, count),
                           std::span(problem.ratings.values).subspan(begin, count));
    single.pull = rows_of(problem.pull, {static_cast<int32_t>(row)});
    const auto own = run(context(), single, true, 7, row);
    EXPECT_EQ(own.rows, std::vector<float>(all.rows.begin() + row * 20, all.rows.begin() + (row + 1) * 20));
    EXPECT_EQ(own.errors[0], all.errors[row]);
  }
}

TEST_P(Posterior, NeitherRowsNorColumns) {
  auto problem = problem_with({0, 0}, 4, true, true, 9);
  problem.ratings.fixed = Matrix(0, 4);
  auto [a, x] = problem.system(0);
  eliminate(a, x);
  const auto prior = run(context(), problem, false).rows;
  for (int64_t i = 0; i < 4; i++) EXPECT_NEAR(prior[i], x[i], 1e-5);
  problem.ratings.offsets = {0};
  EXPECT_TRUE(run(context(), problem, true).rows.empty());
}

// Without a prior, one feature is the sum of two others.
TEST_P(Posterior, SingularSystemsGetAShift) {
  auto problem = problem_with({40}, 6, false, true, 2);
  for (int64_t column = 0; column < problem.ratings.fixed.rows; column++) {
    float* y = problem.ratings.fixed.row(column);
    y[3] = y[1] + y[2];
  }
  std::ranges::fill(problem.precision.values, 0);
  std::ranges::fill(problem.pull.values, 0);
  const auto found = run(context(), problem, false).rows;
  const auto [a, b] = problem.system(0);
  for (int64_t i = 0; i < 6; i++) {
    double rest = -b[i];
    for (int64_t j = 0; j < 6; j++) rest += a[i * 6 + j] * found[j];
    EXPECT_NEAR(rest, 0, 1e-2);
    EXPECT_LT(std::abs(found[i]), 10);
  }
}

TEST_P(Posterior, NotFiniteGivesNotANumberInItsRows) {
  auto problem = problem_with({0, 20}, 5, true, true, 4);
  problem.ratings.fixed.row(problem.ratings.columns[3])[2] = INFINITY;
  const auto found = run(context(), problem, true);
  EXPECT_THAT(std::span(found.rows).first(5), Each(::testing::Not(IsNan())));
  EXPECT_THAT(std::span(found.rows).last(5), Each(IsNan()));
  EXPECT_THAT(found.errors[1], IsNan());
}

TEST_P(Posterior, MomentsAreThoseOfALoop) {
  const auto moments_on = [](Context& context, const Matrix& matrix) {
    const int64_t f = matrix.columns;
    const DeviceRows rows(context, matrix);
    const auto sum = upload(context, std::vector<double>(f, 9)),
               products = upload(context, std::vector<double>(f * f, 9));
    row_moments(context, {rows.view(), sum.data(), products.data()});
    return std::pair(sum.to_host(), products.to_host());
  };
  auto one_thread = Context::cpu(1, isa());
  for (const auto& [rows, f] : {std::pair<int64_t, int64_t>{0, 3}, {1, 1}, {511, 5}, {513, 4}, {33000, 3}}) {
    const auto matrix = normal_rows(rows, f, rows);
    std::vector<double> expected(f * f), total(f);
    const auto [sum, products] = moments_on(context(), matrix);
    if (backend() != TestBackend::gpu) {
      EXPECT_EQ(moments_on(one_thread, matrix), std::pair(sum, products));
    }
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t i = 0; i < f; i++) {
        total[i] += matrix.row(row)[i];
        for (int64_t j = 0; j < f; j++) expected[i * f + j] += double(matrix.row(row)[i]) * matrix.row(row)[j];
      }
    }
    EXPECT_THAT(sum, ::testing::Pointwise(::testing::DoubleNear(1e-9), total));
    EXPECT_THAT(products, ::testing::Pointwise(::testing::DoubleNear(1e-8), expected));
  }
}

TEST(DrawPosterior, RefusesBadArguments) {
  auto context = Context::cpu(1);
  float values[16] = {1};
  const int64_t offsets[2] = {0, 0};
  const PosteriorTask good = {.ratings = {1, offsets, nullptr, nullptr},
                              .fixed = {values, 1, 2},
                              .precision = {values, 2, 2},
                              .pull = {values, 1, 2},
                              .solved = {values, 1, 2}};
  const auto expect = [&](auto change, const char* text) {
    PosteriorTask task = good;
    change(task);
    EXPECT_THAT([&] { draw_posterior(context, task); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  expect([](auto& task) { task.fixed.columns = 3; }, "fixed has 3 columns, solved 2");
  expect([](auto& task) { task.fixed.columns = task.solved.columns = 1; }, "1 columns, expected 2 or more");
  expect([](auto& task) { task.solved.rows = 3; }, "ratings have 1 rows, solved 3");
  expect([](auto& task) { task.precision.rows = 3; }, "precision is 3 x 2, expected 2 x 2");
  expect([](auto& task) { task.pull.rows = 4; }, "pull is 4 x 2, expected 1 or 1 rows of 2");
  expect([](auto& task) { task.noise_precision = 0; }, "noise_precision is 0, expected above 0");
}

}  // namespace
}  // namespace sartor::cuda
