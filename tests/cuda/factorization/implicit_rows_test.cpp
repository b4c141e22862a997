// Rows and numbers of factors of implicit_update that the GPU treats in a special way. All backends must agree with the
// double loops.
#include <gmock/gmock.h>

#include "factorization/systems/als_plan.h"
#include "support/implicit_solutions.h"

namespace sartor::cuda {
namespace {

constexpr auto cg = ImplicitSolver::cg, cholesky = ImplicitSolver::cholesky, block = ImplicitSolver::block;

struct Case {
  int64_t factors;
  ImplicitSolver solver;
  int64_t block = 64;
};
std::string name(const Case& c) {
  static constexpr const char* solvers[] = {"cg", "cholesky", "block"};
  const std::string block = c.solver == ImplicitSolver::block ? std::to_string(c.block) : "";
  return fmt::format("{}_factors_{}{}", c.factors, solvers[static_cast<int>(c.solver)], block);
}

ImplicitParams params_of(const Case& c) {
  return {.alpha = 1.5f, .unobserved_weight = 0.2f, .regularization = 0.05f, .solver = c.solver, .block = c.block};
}

// Rows [begin, end) of a problem.
AlsProblem rows_of(const AlsProblem& problem, int64_t begin, int64_t end) {
  AlsProblem part;
  part.fixed = problem.fixed;
  for (int64_t row = begin; row < end; row++) {
    const int64_t at = problem.offsets[row], count = problem.count(row);
    part.add_row(std::span(problem.columns).subspan(at, count), std::span(problem.values).subspan(at, count));
  }
  return part;
}

// The numbers of factors select the shapes of the systems, and the threads that work on a row of conjugate gradients.
class ImplicitRowsTest : public BackendTest<Case> {};
INSTANTIATE_BACKENDS(ImplicitRowsTest, Case{1, cg}, Case{20, cg}, Case{62, cg}, Case{128, cg}, Case{20, cholesky},
                     Case{90, cholesky}, Case{150, cholesky}, Case{64, block, 20}, Case{90, block, 65});

// Long rows are computed in parts, and rows that are divided between calls have the same bits.
TEST_P(ImplicitRowsTest, LongRowsAndPartsOfTheRows) {
  const auto problem = problem_with({40, 2049, 3, 4500, 0, 17, 65, 150, 2048, 129, 1}, shape().factors, 2);
  ASSERT_EQ(als_parts(4500), 3);
  const auto start = start_of(problem);
  auto params = params_of(shape());
  if (shape().solver == cg) params.cg_steps = std::min<int64_t>(3, shape().factors);
  const auto whole = run(context(), problem, params, start);
  expect_naive(whole, problem, params, start, 1e-4);
  const int64_t f = shape().factors;
  for (const auto& [begin, end] : {std::pair(0, 1), std::pair(1, 5), std::pair(3, 4), std::pair(5, 11)}) {
    const std::vector<float> own(start.begin() + begin * f, start.begin() + end * f);
    EXPECT_EQ(run(context(), rows_of(problem, begin, end), params, own),
              std::vector<float>(whole.begin() + begin * f, whole.begin() + end * f))
        << "rows " << begin << " to " << end - 1;
  }
}

class ImplicitFactors : public BackendTest<Case> {};
INSTANTIATE_BACKENDS(ImplicitFactors, Case{192, cg}, Case{300, cg}, Case{500, cg}, Case{516, cg}, Case{1023, cg},
                     Case{1028, cg}, Case{256, cholesky}, Case{257, cholesky}, Case{300, block, 130},
                     Case{520, block, 260});

TEST_P(ImplicitFactors, EqualTheEquations) {
  const auto problem = problem_with({1, 33, 64, 129}, shape().factors, 4);
  const auto start = start_of(problem), found = run(context(), problem, params_of(shape()), start);
  expect_naive(found, problem, params_of(shape()), start, 1e-4);
  const int64_t f = shape().factors;
  EXPECT_EQ(run(context(), rows_of(problem, 3, 4), params_of(shape()), {start.begin() + 3 * f, start.end()}),
            std::vector<float>(found.begin() + 3 * f, found.end()));
}

class ImplicitAnywhere : public BackendTest<> {};
INSTANTIATE_BACKENDS(ImplicitAnywhere, NoShape{});

// A long row of more than 1,024 factors is computed by blocks instead of warps, also in parts.
TEST_P(ImplicitAnywhere, LongRowOfManyFactors) {
  const auto problem = problem_with({2100}, 1030, 6);
  const auto start = start_of(problem);
  const ImplicitParams params = {.unobserved_weight = 0.2f, .regularization = 0.05f, .cg_steps = 1};
  expect_naive(run(context(), problem, params, start), problem, params, start, 1e-4);
}

// More long rows than a GPU has slots for parts: single warps or blocks compute the parts of the others, with the same
// bits.
TEST_P(ImplicitAnywhere, MoreLongRowsThanSlots) {
  constexpr int64_t rows = 140, entries = 6200;
  const auto limits = GpuLimits{132, 227 << 10, 228 << 10, int64_t{80} << 30};
  ASSERT_GT(rows * als_parts(entries), als_plan(rows, 2, limits).slots);
  auto problem = problem_with({entries}, 2, 6);
  const auto one = rows_of(problem, 0, 1);
  for (int64_t row = 1; row < rows; row++) problem.add_row(one.columns, one.values);
  for (const auto solver : {cg, block}) {
    const ImplicitParams params = {.solver = solver, .cg_steps = 2, .block = 1};
    const std::vector<float> start(rows * 2, 0.1f);
    const auto solution = run(context(), problem, params, start);
    const auto alone = run(context(), one, params, {start.begin(), start.begin() + 2});
    expect_naive(alone, one, params, start, 1e-4);
    for (int64_t i = 0; i < rows * 2; i++) ASSERT_EQ(solution[i], alone[i % 2]) << "factor " << i;
  }
}

// Rows that are not aligned to 16 bytes are read in another way.
TEST_P(ImplicitAnywhere, FactorsAnywhereInMemory) {
  const auto problem = problem_with({30, 5, 70}, 8, 7);
  const auto start = start_of(problem);
  const auto offsets = upload(context(), problem.offsets);
  const auto columns = upload(context(), problem.columns);
  const auto values = upload(context(), problem.values);
  const auto shifted = [&](const std::vector<float>& of) {
    std::vector<float> later(1);
    later.insert(later.end(), of.begin(), of.end());
    return upload(context(), later);
  };
  const auto fixed = shifted(problem.fixed.values);
  for (const auto solver : {cg, cholesky, block}) {
    const ImplicitParams params = {.regularization = 0.1f, .solver = solver, .block = 4};
    const auto gram = shifted(std::vector<float>(64, NAN)), solved = shifted(start);
    cuda::gram(context(), {{fixed.data() + 1, problem.fixed.rows, 8}, 0, 8, gram.data() + 1});
    implicit_update(context(), {.entries = {3, offsets.data(), columns.data(), values.data()},
                                .fixed = {fixed.data() + 1, problem.fixed.rows, 8},
                                .gram = gram.data() + 1,
                                .solved = {solved.data() + 1, 3, 8},
                                .params = params});
    const auto found = solved.to_host();
    expect_naive({found.begin() + 1, found.end()}, problem, params, start, 1e-4);
  }
}

// With many factors, a block of a GPU adds the parts of the rows one after the other.
TEST_P(ImplicitAnywhere, GramOfManyFactors) {
  constexpr int64_t rows = 1030, factors = 2049;
  const auto y = normal_rows(rows, factors, 8);
  const auto gram = gram_of(context(), y);
  for (const int64_t i : {0, 63, 64, 1000, 2048}) {
    for (int64_t j = i; j < factors; j++) {
      double sum = 0, size = 0;
      for (int64_t row = 0; row < rows; row++) {
        const double product = double(y.row(row)[i]) * y.row(row)[j];
        sum += product;
        size += std::abs(product);
      }
      ASSERT_NEAR(gram[i * factors + j], sum, 2e-6 * size) << i << ", " << j;
    }
  }
}

// Regularization is strong and x starts from 0, so that rounding errors are hardly amplified. Rounding to TF32 alone
// would cause errors of about 5e-4.
TEST_P(ImplicitAnywhere, AccurateToSinglePrecision) {
  for (const int64_t factors : {20, 90, 150}) {
    const auto problem = problem_with({5, 60, 400, 5000}, factors, 3);
    const std::vector<float> start(problem.rows() * factors, 0.f);
    for (const auto solver : {cg, cholesky, block}) {
      const ImplicitParams params = {.regularization = 1, .solver = solver, .block = 64};
      expect_naive(run(context(), problem, params, start), problem, params, start, 3e-6);
    }
  }
}

}  // namespace
}  // namespace sartor::cuda
