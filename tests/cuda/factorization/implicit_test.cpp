// Compares implicit_update and gram on every backend with the same equations in double precision.
#include "factorization/implicit/implicit.h"

#include <gmock/gmock.h>

#include "support/implicit_solutions.h"

namespace sartor::cuda {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsNan;
using ::testing::ThrowsMessage;

constexpr auto cg = ImplicitSolver::cg, cholesky = ImplicitSolver::cholesky, block = ImplicitSolver::block;
constexpr auto hu_koren = ImplicitObjective::hu_koren, ials = ImplicitObjective::ials;

struct Shape {
  int64_t factors;
  ImplicitSolver solver;
  ImplicitObjective objective;
  int64_t block = 64;
};
std::string name(const Shape& shape) {
  static constexpr const char* solvers[] = {"cg", "cholesky", "block"};
  const std::string solver = solvers[static_cast<int>(shape.solver)];
  return fmt::format("{}_factors_{}{}_{}", shape.factors, solver,
                     shape.solver == block ? std::to_string(shape.block) : "",
                     shape.objective == ials ? "ials" : "hu_koren");
}

class ImplicitShape : public BackendTest<Shape> {};
INSTANTIATE_BACKENDS(ImplicitShape, Shape{1, cg, ials}, Shape{1, cholesky, ials}, Shape{1, block, hu_koren, 1},
                     Shape{7, cg, hu_koren}, Shape{7, cholesky, hu_koren}, Shape{7, block, ials, 3},
                     Shape{16, cg, ials}, Shape{16, block, ials, 16}, Shape{33, cg, hu_koren},
                     Shape{33, cholesky, ials}, Shape{33, block, hu_koren, 8}, Shape{64, cg, ials},
                     Shape{64, cholesky, hu_koren}, Shape{64, block, ials, 40}, Shape{100, block, ials, 64},
                     Shape{129, cg, ials}, Shape{129, cholesky, ials});

// More rows than a batch, without entries, of every length up to several vectors, longer than a batch, and one with
// every column.
TEST_P(ImplicitShape, EqualsTheEquations) {
  std::vector<int64_t> sizes = {900, 0, 0};
  for (int64_t size = 0; size < 70; size++) sizes.push_back(size % 37);
  const auto problem = problem_with(sizes, shape().factors, shape().factors);
  ImplicitParams params = {.objective = shape().objective,
                           .alpha = 1.5f,
                           .unobserved_weight = shape().objective == ials ? 0.2f : 1,
                           .regularization = 0.3f,
                           .regularization_power = shape().objective == ials ? 0.5f : 0,
                           .solver = shape().solver,
                           .block = shape().block};
  const auto start = start_of(problem);
  // Conjugate gradients take less after the last factor: what is left is rounding.
  if (params.solver == cg) params.cg_steps = std::min<int64_t>(3, shape().factors);
  expect_naive(run(context(), problem, params, start), problem, params, start, 1e-4);
}

class Implicit : public BackendTest<> {};
INSTANTIATE_BACKENDS(Implicit, NoShape{});

TEST_P(Implicit, ManyFactors) {
  const auto problem = problem_with({3, 40}, 2049, 1);
  const auto start = start_of(problem);
  for (const auto solver : {cg, block}) {
    const ImplicitParams params = {.unobserved_weight = 0.5f, .regularization = 1, .solver = solver, .block = 500};
    expect_naive(run(context(), problem, params, start), problem, params, start, 1e-4);
  }
}

TEST_P(Implicit, ManyStepsReachTheExactSolution) {
  const auto problem = problem_with({5, 18, 40, 64}, 24, 2);
  const auto start = start_of(problem);
  const ImplicitParams exact = {.regularization = 0.1f, .solver = cholesky};
  ImplicitParams params = exact;
  params.solver = cg;
  params.cg_steps = 60;
  expect_naive(run(context(), problem, params, start), problem, exact, start, 1e-4);
}

TEST_P(Implicit, RowsAloneHaveTheBitsOfAll) {
  std::vector<int64_t> sizes;
  for (int64_t row = 0; row < 150; row++) sizes.push_back(row * 5 % 41);
  const auto problem = problem_with(sizes, 20, 3);
  const auto start = start_of(problem);
  for (const auto solver : {cg, cholesky, block}) {
    const ImplicitParams params = {.solver = solver, .block = 8};
    const auto all = run(context(), problem, params, start);
    if (!context().is_gpu()) {
      auto one_thread = Context::cpu(1, isa());
      EXPECT_EQ(run(one_thread, problem, params, start), all);
    }
    for (const int64_t row : {0, 1, 77, 149}) {
      AlsProblem single;
      single.fixed = problem.fixed;
      const auto begin = problem.offsets[row], count = problem.count(row);
      single.add_row(std::span(problem.columns).subspan(begin, count), std::span(problem.values).subspan(begin, count));
      const std::vector<float> own(start.begin() + row * 20, start.begin() + (row + 1) * 20);
      EXPECT_EQ(run(context(), single, params, own),
                std::vector<float>(all.begin() + row * 20, all.begin() + (row + 1) * 20));
    }
  }
}

TEST_P(Implicit, RowsWithoutEntriesAreZero) {
  const auto problem = problem_with({0, 3, 0}, 5, 4);
  for (const auto solver : {cg, cholesky, block}) {
    const auto x = run(context(), problem, {.solver = solver}, start_of(problem));
    EXPECT_THAT(std::vector(x.begin(), x.begin() + 5), Each(0));
    EXPECT_THAT(std::vector(x.begin() + 10, x.end()), Each(0));
  }
}

TEST_P(Implicit, NoRowsOrNoColumns) {
  auto problem = problem_with({4}, 3, 5);
  problem.offsets = {0};
  EXPECT_TRUE(run(context(), problem, {}, {}).empty());
  AlsProblem empty;
  empty.offsets = {0, 0, 0};
  empty.fixed = Matrix(0, 3);
  for (const auto solver : {cg, cholesky, block}) {
    EXPECT_THAT(run(context(), empty, {.solver = solver}, std::vector<float>(6, 1)), Each(0));
  }
}

// Without regularization, one factor is the sum of two others and one is always zero.
TEST_P(Implicit, SingularSystemsGetAShift) {
  auto problem = problem_with({40, 300}, 12, 7);
  for (int64_t column = 0; column < problem.fixed.rows; column++) {
    float* y = problem.fixed.row(column);
    y[3] = y[1] + y[2];
    y[7] = 0;
  }
  const ImplicitParams none = {.regularization = 0};
  const auto start = std::vector<float>(24, 0.f);
  for (const auto solver : {cholesky, block}) {
    ImplicitParams params = none;
    params.solver = solver;
    params.block = 12;
    const auto found = run(context(), problem, params, start);
    for (int64_t row = 0; row < 2; row++) {
      const ImplicitSystem system(problem, row, params);
      const std::vector<double> x(found.begin() + row * 12, found.begin() + (row + 1) * 12);
      const double scale = *std::ranges::max_element(system.target);
      EXPECT_THAT(system.gradient(x), Each(DoubleNear(0, 1e-3 * scale)));
      EXPECT_THAT(x, Each(DoubleNear(0, 10)));
    }
  }
  problem.fixed.values.assign(problem.fixed.values.size(), 0);
  for (const auto solver : {cg, cholesky, block}) {
    ImplicitParams params = none;
    params.solver = solver;
    EXPECT_THAT(run(context(), problem, params, start), Each(0));
  }
}

TEST_P(Implicit, NotFiniteGivesNotANumber) {
  auto problem = problem_with({4, 50}, 9, 13);
  std::ranges::fill(problem.fixed.values, INFINITY);
  for (const auto solver : {cg, cholesky, block}) {
    EXPECT_THAT(run(context(), problem, {.solver = solver, .block = 4}, start_of(problem)), Each(IsNan()));
  }
}

TEST_P(Implicit, GramIsTheSameInParts) {
  for (const auto& [rows, factors] : {std::pair{1, 1}, {5, 7}, {1700, 64}, {800, 65}, {100, 200}}) {
    const auto y = normal_rows(rows, factors, 17);
    const auto gram = gram_of(context(), y), parts = gram_of(context(), y, gram_tile);
    auto one_thread = Context::cpu(1, isa());
    const auto alone = context().is_gpu() ? gram : gram_of(one_thread, y);
    for (int64_t i = 0; i < factors; i++) {
      for (int64_t j = i; j < factors; j++) {
        double sum = 0, size = 0;
        for (int64_t row = 0; row < rows; row++) {
          sum += double(y.row(row)[i]) * y.row(row)[j];
          size += std::abs(double(y.row(row)[i]) * y.row(row)[j]);
        }
        ASSERT_NEAR(gram[i * factors + j], sum, 1e-5 * size);
        ASSERT_EQ(gram[i * factors + j], parts[i * factors + j]);
        ASSERT_EQ(gram[i * factors + j], alone[i * factors + j]);
      }
    }
  }
}

TEST(ImplicitUpdate, RefusesBadArguments) {
  auto context = Context::cpu(1);
  float values[4] = {};
  const int64_t offsets[2] = {0, 0};
  const ImplicitTask good = {.entries = {1, offsets, nullptr, nullptr},
                             .fixed = {values, 1, 1},
                             .gram = values,
                             .solved = {values, 1, 1},
                             .params = {}};
  EXPECT_NO_THROW(implicit_update(context, good));
  const auto expect = [&](auto change, const char* text) {
    ImplicitTask task = good;
    change(task);
    EXPECT_THAT([&] { implicit_update(context, task); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  expect([](auto& task) { task.fixed.columns = 2; }, "fixed has 2 factors, solved 1");
  expect([](auto& task) { task.fixed.columns = task.solved.columns = 0; }, "0 factors");
  expect([](auto& task) { task.solved.rows = 3; }, "entries have 1 rows, solved 3");
  expect([](auto& task) { task.params.alpha = -1; }, "alpha is -1");
  expect([](auto& task) { task.params.unobserved_weight = -1; }, "unobserved_weight is -1");
  expect([](auto& task) { task.params.regularization = -1; }, "regularization is -1");
  expect([](auto& task) { task.params.regularization_power = 2; }, "regularization_power is 2");
  expect([](auto& task) { task.params.cg_steps = 0; }, "cg_steps is 0");
  expect([](auto& task) { task.params.block = 0; }, "block is 0");
  EXPECT_THAT(
      [&] {
        gram(context, {{values, 1, 1}, 0, 2, values});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("rows 0 to 2")));
  EXPECT_THAT(
      [&] {
        gram(context, {{values, 1, 70}, 5, 70, values});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("multiples of 64")));
}

}  // namespace
}  // namespace sartor::cuda
