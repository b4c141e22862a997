// Rows of als_update that the GPU treats in a special way: long ones, which are computed in parts, and many factors,
// whose systems do not fit in registers. All backends must agree with the double loops.
#include <gmock/gmock.h>

#include "factorization/systems/als_plan.h"
#include "support/als_solutions.h"

namespace sartor::cuda {
namespace {

constexpr AlsParams little = {.regularization = 0.05f, .bias_regularization = 0.05f, .regularization_power = 1};

struct Factors {
  int64_t count;
};
std::string name(Factors factors) { return fmt::format("{}_factors", factors.count); }

// The numbers of factors select the shapes of the GPU's blocks: up to 64, up to 128, and more.
class AlsRows : public BackendTest<Factors> {};
INSTANTIATE_BACKENDS(AlsRows, Factors{20}, Factors{90}, Factors{150});

// Rows [begin, end) of a problem.
AlsProblem rows_of(const AlsProblem& problem, int64_t begin, int64_t end) {
  AlsProblem part = problem;
  const int64_t first = problem.offsets[begin], last = problem.offsets[end];
  part.offsets.assign(problem.offsets.begin() + begin, problem.offsets.begin() + end + 1);
  for (int64_t& offset : part.offsets) offset -= first;
  part.columns.assign(problem.columns.begin() + first, problem.columns.begin() + last);
  part.values.assign(problem.values.begin() + first, problem.values.begin() + last);
  return part;
}

TEST_P(AlsRows, OneRowHasMostOfTheRatings) {
  const auto problem = problem_with({2, 70, 9 * 700, 0, 300, 16, 160, 152}, shape().count, true, 1);
  ASSERT_EQ(als_parts(9 * 700), 4);
  ASSERT_EQ(problem.count(2) * 10, problem.offsets.back() * 9);
  expect_near(run_als(context(), problem, little), naive_als(problem, little), 1e-4);
}

TEST_P(AlsRows, AloneEqualTheWhole) {
  const auto problem = problem_with({40, 2049, 3, 4500, 0, 17, 65, 150, 2048, 129, 6000, 1}, shape().count, true, 2);
  const auto whole = run_als(context(), problem, little);
  for (const auto& [begin, end] : {std::pair(0, 1), std::pair(1, 5), std::pair(3, 4), std::pair(5, 12)}) {
    const auto part = run_als(context(), rows_of(problem, begin, end), little);
    EXPECT_EQ(part, Solution(whole.begin() + begin, whole.begin() + end)) << "rows " << begin << " to " << end - 1;
  }
}

// Regularization as large as the largest eigenvalues: rounding errors are hardly amplified. Rounding to TF32 alone
// would cause errors of about 5e-4.
TEST_P(AlsRows, AccurateToSinglePrecision) {
  const auto problem = problem_with({5, 60, 400, 5000}, shape().count, true, 3);
  const AlsParams params = {.regularization = 1, .bias_regularization = 1, .regularization_power = 1};
  expect_near(run_als(context(), problem, params), naive_als(problem, params), 2e-6);
}

class AlsFactors : public BackendTest<Factors> {};
INSTANTIATE_BACKENDS(AlsFactors, Factors{192}, Factors{256}, Factors{257});

TEST_P(AlsFactors, SolvesTheNormalEquations) {
  const int64_t f = shape().count;
  const auto problem = problem_with({1, 60, 64, 65, 100, 128, 129, f - 17, f, f + 1, f + 40}, f, f % 2 == 1, 4);
  expect_near(run_als(context(), problem, little), naive_als(problem, little), 1e-4);
}

class AlsLarge : public BackendTest<> {};
INSTANTIATE_BACKENDS(AlsLarge, NoShape{});

TEST_P(AlsLarge, ThousandFactors) {
  const auto problem = problem_with({3, 300, 1030}, 1025, true, 5);
  expect_near(run_als(context(), problem, little), naive_als(problem, little), 1e-4);
}

// More long rows than a GPU has slots for parts: single blocks compute the parts of the others, with the same bits.
TEST_P(AlsLarge, MoreLongRowsThanSlots) {
  constexpr int64_t rows = 140, ratings = 6200;
  const auto limits = GpuLimits{132, 227 << 10, 228 << 10, int64_t{80} << 30};
  ASSERT_GT(rows * als_parts(ratings), als_plan(rows, 2, limits).slots);
  auto problem = problem_with({ratings}, 2, true, 6);
  const auto one = rows_of(problem, 0, 1);
  for (int64_t row = 1; row < rows; row++) problem.add_row(one.columns, one.values);
  const auto solution = run_als(context(), problem, little);
  EXPECT_THAT(solution, ::testing::Each(run_als(context(), one, little)[0]));
  expect_near({solution[0]}, naive_als(one, little), 1e-4);
}

// Rows of Y that are not aligned to 16 bytes are copied in another way.
TEST_P(AlsLarge, FactorsAnywhereInMemory) {
  const auto problem = problem_with({30, 5}, 8, false, 7);
  const auto expected = run_als(context(), problem, little);
  std::vector<float> shifted(1);
  shifted.insert(shifted.end(), problem.fixed.values.begin(), problem.fixed.values.end());
  const auto offsets = upload(context(), problem.offsets);
  const auto columns = upload(context(), problem.columns);
  const auto values = upload(context(), problem.values), fixed = upload(context(), shifted);
  const auto solved = upload(context(), std::vector<float>(2 * 8, NAN));
  als_update(context(), {.ratings = {2, offsets.data(), columns.data(), values.data()},
                         .mean = problem.mean,
                         .fixed = {fixed.data() + 1, problem.fixed.rows, 8},
                         .solved = {solved.data(), 2, 8},
                         .params = little});
  const auto found = solved.to_host();
  for (int64_t i = 0; i < 16; i++) EXPECT_EQ(found[i], expected[i / 8][i % 8]) << "unknown " << i;
}

}  // namespace
}  // namespace sartor::cuda
