// Sparse products, graph filters and the selection of scores on a GPU in comparison with the CPU or double precision.
#include <gmock/gmock.h>

#include <limits>

#include "core/gpu/module.h"
#include "cuda/sparse/sparse_support.h"
#include "linear/scaled_sum.h"
#include "sparse/filters/graph_filter.h"
#include "sparse/filters/multiply_sparse.h"
#include "sparse/filters/sparse_product.h"
#include "sparse/filters/top_scores.h"
#include "support/backends.h"

namespace sartor::cuda {
namespace {

class FiltersGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    if (gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  }
};

struct Uploaded {
  DeviceBuffer<int64_t> offsets;
  DeviceBuffer<int32_t> columns;
  DeviceBuffer<float> values;

  Uploaded(Context& context, const Sparse& matrix)
      : offsets(context, matrix.offsets), columns(context, matrix.columns), values(context, matrix.values) {}
  Csr<const float> rows(int64_t first, int64_t count) const {
    return {count, offsets.data() + first, columns.data(), values.data()};
  }
  Csr<const float> view() const { return rows(0, offsets.size() - 1); }
};

// Rows of the given numbers of entries, the first columns.
Sparse with_lengths(const std::vector<int64_t>& lengths, int64_t width) {
  Sparse matrix = {width, {0}, {}, {}};
  for (const int64_t length : lengths) {
    const auto values = normals(length, matrix.offsets.back() + 3);
    for (int64_t column = 0; column < length; column++) matrix.columns.push_back(int32_t(column));
    matrix.values.insert(matrix.values.end(), values.begin(), values.end());
    matrix.offsets.push_back(std::ssize(matrix.values));
  }
  return matrix;
}

// Rows first to first + count - 1 of matrix right.
std::vector<float> product_on(Context& context, const Sparse& matrix, const std::vector<float>& right, int64_t columns,
                              int64_t first, int64_t count) {
  const Uploaded left(context, matrix);
  const DeviceBuffer<float> factors(context, right), product(context, std::vector<float>(count * columns, NAN));
  sparse_product(context,
                 {left.rows(first, count), {factors.data(), matrix.width, columns}, {product.data(), count, columns}});
  return product.to_host();
}

void expect_product(const Sparse& matrix, int64_t columns) {
  auto gpu = Context::gpu();
  const auto right = normals(matrix.width * columns, 2);
  const auto found = product_on(gpu, matrix, right, columns, 0, matrix.rows());
  for (int64_t row = 0; row < matrix.rows(); row++) {
    for (int64_t column = 0; column < columns; column++) {
      double sum = 0, magnitude = 0;
      for (int64_t at = matrix.offsets[row]; at < matrix.offsets[row + 1]; at++) {
        const double term = double(matrix.values[at]) * right[matrix.columns[at] * columns + column];
        sum += term;
        magnitude += std::abs(term);
      }
      ASSERT_NEAR(found[row * columns + column], sum, 1e-6 * magnitude) << row << " " << column;  // fp32 sums
    }
  }
  for (int64_t row = 0; row < matrix.rows(); row += 5) {
    const auto alone = product_on(gpu, matrix, right, columns, row, 1);
    ASSERT_TRUE(std::equal(alone.begin(), alone.end(), found.begin() + row * columns)) << row;
  }
}

TEST_F(FiltersGpu, SparseTimesDense) {
  for (const auto& [rows, inner, columns] : {std::array<int64_t, 3>{0, 3, 2},
                                             {1, 1, 1},
                                             {7, 9, 31},
                                             {8, 9, 32},
                                             {9, 9, 33},
                                             {16, 13, 63},
                                             {17, 13, 64},
                                             {23, 13, 65},
                                             {3, 40, 127},
                                             {5, 40, 128},
                                             {3, 40, 129},
                                             {37, 11, 288},
                                             {4, 5, 0}}) {
    SCOPED_TRACE(fmt::format("{} x {} x {}", rows, inner, columns));
    expect_product(random_sparse(rows, inner, 1), columns);
  }
}

TEST_F(FiltersGpu, LongRowsAreShared) {
  for (const int64_t columns : {1, 5, 36, 64, 130}) {
    SCOPED_TRACE(columns);
    expect_product(with_lengths({0, 511, 512, 513, 1, 0, 3, 1024, 1025, 7}, 1100), columns);
    expect_product(with_lengths({5, 0, 1800, 7, 90}, 1800), columns);  // one row has 90% of the entries
  }
}

TEST_F(FiltersGpu, SparseTimesSparseHasTheBitsOfTheCpu) {
  auto cpu = Context::cpu(1), gpu = Context::gpu();
  for (const auto& [left, right] : {std::pair(random_sparse(37, 50, 3), random_sparse(50, 29, 4)),
                                    {random_sparse(1, 1, 3), random_sparse(1, 1, 4)},
                                    {random_sparse(3, 700, 5), random_sparse(700, 401, 6)},
                                    {with_lengths({127, 128, 129, 0, 257}, 257), random_sparse(257, 131, 7)},
                                    {with_lengths({3, 0, 90}, 90), with_lengths(std::vector<int64_t>(90, 127), 127)}}) {
    const int64_t rows = left.rows(), columns = right.width;
    std::vector<float> expected(rows * columns);
    multiply_sparse(cpu, {left.view(), right.view(), {expected.data(), rows, columns}});
    const Uploaded a(gpu, left), b(gpu, right);
    const DeviceBuffer<float> product(gpu, std::vector<float>(rows * columns, NAN));
    multiply_sparse(gpu, {a.view(), b.view(), {product.data(), rows, columns}});
    EXPECT_EQ(product.to_host(), expected);
  }
}

std::vector<float> filtered(Context& context, const Sparse& by_user, const Sparse& by_item, const Sparse& signals,
                            int64_t first, int64_t rows, const std::vector<float>& coefficients, bool scaled) {
  const Uploaded users(context, by_user), items(context, by_item), all(context, signals);
  const DeviceBuffer<float> scale(context, normals(by_item.rows(), 7)),
      result(context, std::vector<float>(rows * by_item.rows(), NAN));
  graph_filter(context, {.by_user = users.view(),
                         .by_item = items.view(),
                         .signals = all.rows(first, rows),
                         .coefficients = coefficients,
                         .scale = scaled ? scale.data() : nullptr,
                         .filtered = {result.data(), rows, by_item.rows()}});
  return result.to_host();
}

TEST_F(FiltersGpu, GraphFilterIsThatOfTheCpu) {
  auto cpu = Context::cpu(1), gpu = Context::gpu();
  for (const auto& [users, items, queries] : {std::array<int64_t, 3>{1, 1, 1},
                                              {0, 3, 2},
                                              {30, 23, 63},
                                              {30, 31, 64},
                                              {45, 32, 65},
                                              {45, 33, 129},
                                              {8, 100, 70}}) {
    SCOPED_TRACE(fmt::format("{} x {}, {} signals", users, items, queries));
    const Sparse by_user = random_sparse(users, items, 5), signals = random_sparse(queries, items, 6);
    Sparse by_item = transposed(by_user);
    for (const std::vector<float>& coefficients : {std::vector<float>{0.5f, -0.5f}, {1, -1, 0.5f, 0.25f, 2, -0.3f}}) {
      const auto on = [&](Context& context, int64_t first, int64_t rows) {
        return filtered(context, by_user, by_item, signals, first, rows, coefficients, queries % 2 == 1);
      };
      const auto found = on(gpu, 0, queries), expected = on(cpu, 0, queries);
      for (size_t at = 0; at < found.size(); at++) ASSERT_NEAR(found[at], expected[at], 2e-5) << at;
      const int64_t first = queries / 3, some = (queries + 1) / 2;
      const auto part = on(gpu, first, some);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), found.begin() + first * items)) << "independent of the others";
    }
  }
}

struct Lists {
  std::vector<int32_t> ids;
  std::vector<float> scores;
};
Lists best_of(Context& context, const Matrix& matrix, const RandomLists& excluded, const std::vector<uint32_t>& allowed,
              int64_t k) {
  const DeviceBuffer<float> rows(context, matrix.values), scores(context, matrix.rows * k);
  const DeviceBuffer<int64_t> offsets(context, excluded.offsets);
  const DeviceBuffer<int32_t> ids(context, excluded.ids), found(context, matrix.rows * k);
  const DeviceBuffer<uint32_t> bits(context, allowed);
  top_scores(context, {.scores = {rows.data(), matrix.rows, matrix.columns},
                       .excluded = {std::ssize(excluded.offsets) - 1, offsets.data(), ids.data()},
                       .allowed = bits.data(),
                       .found = {matrix.rows, k, scores.data(), found.data()}});
  return {found.to_host(), scores.to_host()};
}

TEST_F(FiltersGpu, TopScoresAreThoseOfTheCpu) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  auto cpu = Context::cpu(1), gpu = Context::gpu();
  for (const auto& [rows, items, k] : {std::array<int64_t, 3>{1, 1, 1},
                                       {20, 15, 4},
                                       {3, 100, 100},
                                       {5, 1001, 20},
                                       {7, 64, 3},
                                       {2, 5000, 1},
                                       {1, 40'003, 5}}) {
    SCOPED_TRACE(fmt::format("{} x {}, k {}", rows, items, k));
    Matrix scores = normal_rows(rows, items, 11);
    for (auto& score : scores.values) score = std::round(4 * score);  // ties
    if (items > 10) scores.values[3] = NAN, scores.values[5] = -infinity, scores.values[7] = infinity;
    std::vector<uint32_t> allowed((items + 31) / 32);
    for (int64_t item = 0; item < items; item++) allowed[item / 32] |= uint32_t{item % 5 != 1} << item % 32;
    for (const bool limited : {false, true}) {
      const RandomLists excluded(limited ? rows : 0, items, 0.4, 13);
      const std::vector<uint32_t> bits = limited ? allowed : std::vector<uint32_t>();
      const Lists found = best_of(gpu, scores, excluded, bits, k), expected = best_of(cpu, scores, excluded, bits, k);
      EXPECT_EQ(found.ids, expected.ids);
      EXPECT_EQ(found.scores, expected.scores);
    }
  }
}

TEST_F(FiltersGpu, PositiveEntriesAreThoseOfTheCpu) {
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{0, 3}, {1, 1}, {3, 0}, {2, 511}, {3, 512}, {2, 513}, {3, 1100}}) {
    auto dense = normals(rows * columns, 12);
    for (size_t at = 0; at < dense.size(); at += 5) dense[at] = at % 2 ? 0 : NAN;
    for (int64_t at = columns; at < std::min<int64_t>(2 * columns, std::ssize(dense)); at++) dense[at] = -1;  // a row
    const Rows<const float> view = {dense.data(), rows, columns};
    const Positive found = positive_of(Context::gpu(), view), expected = positive_of(Context::cpu(1), view);
    EXPECT_EQ(found.offsets, expected.offsets);
    EXPECT_EQ(found.columns, expected.columns);
    EXPECT_EQ(found.values, expected.values);
  }
}

TEST_F(FiltersGpu, ScaledSumHasTheBitsOfTheCpu) {
  for (const int64_t size : {0, 1, 255, 256, 257, 10'007}) {
    for (const float a : {0.0f, 1.0f, -0.3f}) {
      const auto on = [&](Context context) {
        const DeviceBuffer<float> sum(context, a == 0 ? std::vector<float>(size, NAN) : normals(size, 1)),
            other(context, normals(size, 2));
        scaled_sum(context, {sum.data(), other.data(), size, a, 0.71f});
        return sum.to_host();
      };
      EXPECT_EQ(on(Context::gpu()), on(Context::cpu(2)));
    }
  }
}

}  // namespace
}  // namespace sartor::cuda
