// Sparse products, graph filters and the selection of scores in comparison with double loops, on every instruction set.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "cuda/sparse/sparse_support.h"
#include "sparse/filters/graph_filter.h"
#include "sparse/filters/multiply_sparse.h"
#include "sparse/filters/positive_entries.h"
#include "sparse/filters/sparse_product.h"
#include "sparse/filters/top_scores.h"

namespace sartor::cuda {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

void expect_near(const std::vector<float>& found, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t at = 0; at < found.size(); at++) ASSERT_NEAR(found[at], expected[at], tolerance) << at;
}

class Filters : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!supported(GetParam())) GTEST_SKIP() << "this CPU has no " << name(GetParam());
  }
  Context context(int threads) const { return Context::cpu(threads, GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Isa, Filters, ::testing::Values(Isa::v3, Isa::v4),
                         [](const auto& info) { return info.param == Isa::v3 ? "v3" : "v4"; });

TEST_P(Filters, SparseTimesDense) {
  for (const auto& [rows, inner, columns] :
       {std::array<int64_t, 3>{1, 1, 1}, {0, 3, 2}, {40, 30, 16}, {40, 30, 17}, {600, 50, 64}, {9, 80, 130}}) {
    const Sparse matrix = random_sparse(rows, inner, 1);
    const auto right = normals(inner * columns, 2);
    std::vector<float> found(rows * columns, NAN), again(rows * columns, NAN);
    auto one = context(1), three = context(3);
    sparse_product(one, {matrix.view(), {right.data(), inner, columns}, {found.data(), rows, columns}});
    sparse_product(three, {matrix.view(), {right.data(), inner, columns}, {again.data(), rows, columns}});
    EXPECT_EQ(found, again);
    expect_near(found, product_of(matrix.dense(), {right.begin(), right.end()}, rows, inner, columns), 1e-5);
  }
}

TEST_P(Filters, SparseTimesSparse) {
  const Sparse left = random_sparse(37, 50, 3), right = random_sparse(50, 29, 4);
  std::vector<float> found(37 * 29, NAN);
  auto two = context(2);
  multiply_sparse(two, {left.view(), right.view(), {found.data(), 37, 29}});
  expect_near(found, product_of(left.dense(), right.dense(), 37, 50, 29), 1e-5);
}

// Sums T_k(1 - 2 P) x by the definition of the polynomials.
std::vector<double> naive_filter(const Sparse& by_user, const Sparse& signals, const std::vector<float>& coefficients,
                                 const std::vector<float>& scale) {
  const int64_t users = by_user.rows(), items = by_user.width, n = signals.rows();
  const auto r = by_user.dense(), rt = transposed(by_user).dense();
  std::vector<double> before, now = signals.dense(), sum(n * items);
  for (size_t k = 0; k < coefficients.size(); k++) {
    for (int64_t at = 0; at < n * items; at++) sum[at] += coefficients[k] * now[at];
    const auto filtered = product_of(product_of(now, rt, n, items, users), r, n, users, items);
    std::vector<double> next(n * items);
    for (int64_t at = 0; at < n * items; at++) {
      const double y = now[at] - 2 * filtered[at];
      next[at] = k == 0 ? y : 2 * y - before[at];
    }
    before = std::exchange(now, next);
  }
  for (int64_t at = 0; at < n * items; at++) sum[at] *= scale[at % items];
  return sum;
}

TEST_P(Filters, GraphFilterIsTheSumOfChebyshevPolynomials) {
  for (const auto& [users, items, queries] :
       {std::array<int64_t, 3>{1, 1, 1}, {30, 23, 1}, {30, 23, 16}, {45, 61, 33}, {8, 100, 70}}) {
    const Sparse by_user = random_sparse(users, items, 5), by_item = transposed(by_user),
                 signals = random_sparse(queries, items, 6);
    const auto scale = normals(items, 7);
    for (const std::vector<float>& coefficients :
         {std::vector<float>{0.5f, -0.5f}, {0.1f, 0.2f, 0.3f}, {1, -1, 0.5f, 0.25f, 2, -0.3f}}) {
      std::vector<float> found(queries * items, NAN), again(queries * items, NAN);
      auto one = context(1), three = context(3);
      GraphFilterTask task = {by_user.view(), by_item.view(), signals.view(),
                              coefficients,   scale.data(),   {found.data(), queries, items}};
      graph_filter(one, task);
      task.filtered.data = again.data();
      graph_filter(three, task);
      EXPECT_EQ(found, again);
      expect_near(found, naive_filter(by_user, signals, coefficients, scale), 5e-5);
    }
  }
}

TEST_P(Filters, ASignalDoesNotDependOnTheOthers) {
  const Sparse by_user = random_sparse(50, 40, 8), by_item = transposed(by_user), signals = random_sparse(40, 40, 9);
  const std::vector<float> coefficients = {0.3f, 0.2f, -0.6f};
  auto one = context(1);
  const auto filter = [&](int64_t first, int64_t rows) {
    std::vector<float> found(rows * 40);
    graph_filter(one, {.by_user = by_user.view(),
                       .by_item = by_item.view(),
                       .signals = {rows, signals.offsets.data() + first, signals.columns.data(), signals.values.data()},
                       .coefficients = coefficients,
                       .filtered = {found.data(), rows, 40}});
    return found;
  };
  const auto all = filter(0, 40), some = filter(7, 20);
  EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + 7 * 40));
}

TEST_P(Filters, TopScoresAreThoseOfASortedRow) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const auto& [rows, items, k] :
       {std::array<int64_t, 3>{1, 1, 1}, {20, 15, 4}, {3, 100, 100}, {40, 1000, 20}, {2, 5000, 1}}) {
    auto scores = normals(rows * items, 11);
    for (auto& score : scores) score = std::round(4 * score);  // ties
    if (items > 10) scores[3] = NAN, scores[5] = -infinity, scores[7] = infinity;
    std::vector<int64_t> offsets = {0};
    std::vector<int32_t> excluded;
    std::vector<uint32_t> allowed((items + 31) / 32);
    for (int64_t item = 0; item < items; item++) allowed[item / 32] |= uint32_t{item % 5 != 1} << item % 32;
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t item = row % 3; item < items && items > 1; item += 3) excluded.push_back(int32_t(item));
      offsets.push_back(std::ssize(excluded));
    }
    std::vector<std::pair<float, int32_t>> expected;
    for (int64_t row = 0; row < rows; row++) {
      std::vector<std::pair<float, int32_t>> left;
      for (int64_t item = 0; item < items; item++) {
        const float score = scores[row * items + item];
        if (std::isnan(score) || score == -infinity || (items > 1 && item % 3 == row % 3) || item % 5 == 1) continue;
        left.emplace_back(-score, int32_t(item));
      }
      std::ranges::sort(left);
      left.resize(k, {infinity, -1});
      expected.insert(expected.end(), left.begin(), left.end());
    }
    std::vector<float> found(rows * k);
    std::vector<int32_t> ids(rows * k);
    auto two = context(2);
    top_scores(two, {.scores = {scores.data(), rows, items},
                     .excluded = {rows, offsets.data(), excluded.data()},
                     .allowed = allowed.data(),
                     .found = {rows, k, found.data(), ids.data()}});
    for (int64_t at = 0; at < rows * k; at++) {
      ASSERT_EQ(ids[at], expected[at].second) << at;
      ASSERT_EQ(found[at], -expected[at].first) << at;
    }
  }
}

TEST_P(Filters, PositiveEntriesAreThoseAboveZero) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{0, 3}, {1, 1}, {9, 40}, {3, 0}}) {
    auto dense = normals(rows * columns, 12);
    for (size_t at = 0; at < dense.size(); at += 5) dense[at] = at % 2 ? 0 : NAN;
    const Positive found = positive_of(context(2), {dense.data(), rows, columns});
    Sparse expected = {columns, {0}, {}, {}};
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t column = 0; column < columns; column++) {
        if (!(dense[row * columns + column] > 0)) continue;
        expected.columns.push_back(int32_t(column));
        expected.values.push_back(dense[row * columns + column]);
      }
      expected.offsets.push_back(std::ssize(expected.columns));
    }
    EXPECT_EQ(found.offsets, expected.offsets);
    EXPECT_EQ(found.columns, expected.columns);
    EXPECT_EQ(found.values, expected.values);
  }
}

TEST(FilterErrors, NameWhatDoesNotFit) {
  auto here = Context::cpu(1);
  const Sparse matrix = random_sparse(2, 2, 1);
  std::vector<float> a(4), coefficients = {1, 1};
  std::vector<int32_t> ids(4);
  const Rows<float> two = {a.data(), 2, 2}, one = {a.data(), 1, 2};
  const auto expect = [](auto call, const std::string& text) {
    EXPECT_THAT(call, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  expect([&] { sparse_product(here, {matrix.view(), two, one}); }, "matrix has 2 rows, product 1");
  expect([&] { sparse_product(here, {matrix.view(), two, {a.data(), 2, 1}}); }, "right has 2 columns, product 1");
  expect([&] { multiply_sparse(here, {matrix.view(), matrix.view(), one}); }, "left has 2 rows, product 1");
  const auto filter = [&](Context& context, std::span<const float> some, Rows<float> to) {
    graph_filter(context, {matrix.view(), matrix.view(), matrix.view(), some, nullptr, to});
  };
  expect([&] { filter(here, {coefficients.data(), 1}, two); }, "1 coefficients, expected 2 or more");
  expect([&] { filter(here, coefficients, one); }, "2 signals, filtered has 1 rows");
  expect([&] { filter(here, coefficients, {a.data(), 2, 1}); }, "2 items, filtered has 1 columns");
  const auto top = [&](Context& context, TopK found, int64_t excluded) {
    const std::vector<int64_t> offsets(3);
    top_scores(context, {.scores = two, .excluded = {excluded, offsets.data(), nullptr}, .found = found});
  };
  expect([&] { top(here, {2, 3, a.data(), ids.data()}, 0); }, "k is 3, expected 1 to 2");
  expect([&] { top(here, {1, 2, a.data(), ids.data()}, 0); }, "scores have 2 rows, found 1");
  expect([&] { top(here, {2, 2, a.data(), ids.data()}, 1); }, "scores have 2 rows, excluded 1");
}

}  // namespace
}  // namespace sartor::cuda
