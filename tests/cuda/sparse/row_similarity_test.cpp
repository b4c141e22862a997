// Compares row_similarity with a double loop over the rows, on every instruction set of the CPU and on GPUs.
#include "sparse/row_similarity.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <span>

#include "support/backends.h"

namespace sartor::cuda {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// A sparse matrix as dense rows, in which NAN is missing.
using Dense = Matrix;

Dense made(int64_t rows, int64_t columns, double density, uint64_t seed, bool whole) {
  Dense dense(rows, columns);
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  for (float& value : dense.values) {
    const double drawn = uniform(random);
    const auto rating = static_cast<float>(whole ? 1 + random() % 5 : uniform(random) * 4 - 1.5);
    value = drawn < density ? rating : NAN;
  }
  return dense;
}

struct Sparse {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> columns;
  std::vector<float> values;
};

Sparse sparse(int64_t rows, int64_t columns, const std::function<float(int64_t, int64_t)>& at) {
  Sparse found;
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t column = 0; column < columns; column++) {
      if (std::isnan(at(row, column))) continue;
      found.columns.push_back(static_cast<int32_t>(column));
      found.values.push_back(at(row, column));
    }
    found.offsets.push_back(std::ssize(found.columns));
  }
  return found;
}

Sparse rows_of(const Dense& dense) {
  return sparse(dense.rows, dense.columns, [&](int64_t row, int64_t column) { return dense.row(row)[column]; });
}
Sparse columns_of(const Dense& dense) {
  return sparse(dense.columns, dense.rows, [&](int64_t column, int64_t row) { return dense.row(row)[column]; });
}

struct Found {
  std::vector<float> scores;
  std::vector<int32_t> ids;
};

Found run(Context& context, const Dense& queries, const Dense& rows, int64_t first, const RowSimilarityParams& params) {
  const Sparse by_row = rows_of(queries), by_column = columns_of(rows), all = rows_of(rows);
  std::vector<int64_t> counts;
  for (int64_t row = 0; row < rows.rows; row++) counts.push_back(all.offsets[row + 1] - all.offsets[row]);
  const auto offsets = upload(context, by_row.offsets), column_offsets = upload(context, by_column.offsets);
  const auto columns = upload(context, by_row.columns), row_ids = upload(context, by_column.columns);
  const auto values = upload(context, by_row.values), column_values = upload(context, by_column.values);
  const auto sizes = upload(context, counts);
  const int64_t places = queries.rows * params.k;
  const auto scores = upload(context, std::vector<float>(places, NAN));
  const auto ids = upload(context, std::vector<int32_t>(places, -7));
  row_similarity(context, {.queries = {queries.rows, offsets.data(), columns.data(), values.data()},
                           .columns = {rows.columns, column_offsets.data(), row_ids.data(), column_values.data()},
                           .rows = rows.rows,
                           .first = first,
                           .sizes = params.measure == RowMeasure::jaccard ? sizes.data() : nullptr,
                           .params = params,
                           .found = {queries.rows, params.k, scores.data(), ids.data()}});
  return {scores.to_host(), ids.to_host()};
}

double naive(const float* x, const float* y, int64_t columns, const RowSimilarityParams& params) {
  double n = 0, xy = 0, sx = 0, sy = 0, xx = 0, yy = 0, either = 0, differences = 0;
  for (int64_t column = 0; column < columns; column++) {
    const double a = x[column], b = y[column];
    either += !std::isnan(a) || !std::isnan(b);
    if (std::isnan(a) || std::isnan(b)) continue;
    n++, xy += a * b, sx += a, sy += b, xx += a * a, yy += b * b, differences += (a - b) * (a - b);
  }
  if (n == 0 || n < static_cast<double>(params.min_support)) return 0;
  double similarity = 0, support = n - 1;
  const double of_x = xx - sx * sx / n, of_y = yy - sy * sy / n;
  switch (params.measure) {
    case RowMeasure::dot:
      similarity = xy, support = n;
      break;
    case RowMeasure::cosine:
      similarity = xx * yy > 0 ? xy / std::sqrt(xx * yy) : 0;
      break;
    case RowMeasure::pearson:
      similarity = of_x > 1e-9 && of_y > 1e-9 ? (xy - sx * sy / n) / std::sqrt(of_x * of_y) : 0;
      break;
    case RowMeasure::msd:
      similarity = 1 / (1 + differences / n);
      break;
    case RowMeasure::jaccard:
      similarity = n / either, support = n;
  }
  if (params.shrinkage > 0) similarity *= support / (support + params.shrinkage);
  return params.keep_negative || similarity > 0 ? similarity : 0;
}

// Scores are those of their ids and descend; rows that are not found have no higher ones.
void expect_naive(const Found& found, const Dense& queries, const Dense& rows, int64_t first,
                  const RowSimilarityParams& params) {
  for (int64_t query = 0; query < queries.rows; query++) {
    const auto ids = std::span(found.ids).subspan(query * params.k, params.k);
    const auto scores = std::span(found.scores).subspan(query * params.k, params.k);
    for (int64_t rank = 1; rank < params.k; rank++) {
      if (ids[rank] < 0) continue;
      ASSERT_TRUE(scores[rank - 1] > scores[rank] || (scores[rank - 1] == scores[rank] && ids[rank - 1] < ids[rank]));
    }
    const bool full = ids.back() >= 0;
    for (int64_t row = 0; row < rows.rows; row++) {
      const double expected =
          first + query == row && first >= 0 ? 0 : naive(queries.row(query), rows.row(row), rows.columns, params);
      const double tolerance = 1e-5 * (1 + std::abs(expected));  // of sums in single precision
      const auto at = std::ranges::find(ids, row) - ids.begin();
      if (at < params.k) {
        ASSERT_NEAR(scores[at], expected, tolerance) << query << " " << row;
        ASSERT_NE(expected, 0);
      } else if (full) {
        ASSERT_TRUE(expected == 0 || expected <= scores.back() + tolerance) << query << " " << row;
      } else {
        ASSERT_NEAR(expected, 0, tolerance) << query << " " << row;
      }
    }
    ASSERT_EQ(std::ranges::count(ids, -1), std::ranges::count(scores, -INFINITY)) << "similarities of 0 are not found";
  }
}

struct Shape {
  int64_t rows, columns;
  double density;
  int64_t k;
};
std::string name(const Shape& shape) {
  return fmt::format("{}x{}_{}percent_k{}", shape.rows, shape.columns, static_cast<int>(100 * shape.density), shape.k);
}

class RowSimilarityTest : public BackendTest<Shape> {
 protected:
  // Fewer on a GPU, which may be simulated.
  Dense some_of(const Dense& dense) const {
    const int64_t rows = backend() == TestBackend::gpu ? std::min<int64_t>(dense.rows, 9) : dense.rows;
    return {rows, dense.columns, {dense.values.begin(), dense.values.begin() + rows * dense.columns}};
  }
};

TEST_P(RowSimilarityTest, IsThatOfADoubleLoop) {
  const auto& [rows, columns, density, k] = shape();
  for (const auto measure :
       {RowMeasure::dot, RowMeasure::cosine, RowMeasure::pearson, RowMeasure::msd, RowMeasure::jaccard}) {
    for (const bool whole : {true, false}) {
      const Dense dense = made(rows, columns, density, 5 + static_cast<int>(measure), whole);
      const Dense queries = some_of(dense);
      for (const RowSimilarityParams& params :
           {RowSimilarityParams{.measure = measure, .k = k},
            RowSimilarityParams{.measure = measure, .k = k, .min_support = 3, .shrinkage = 2, .keep_negative = true}}) {
        SCOPED_TRACE(fmt::format("measure {}, whole {}", static_cast<int>(measure), whole));
        expect_naive(run(context(), queries, dense, 0, params), queries, dense, 0, params);
      }
    }
  }
}

TEST_P(RowSimilarityTest, QueriesNeedNotBeRows) {
  const auto& [rows, columns, density, k] = shape();
  const Dense dense = made(rows, columns, density, 3, true), queries = made(7, columns, 2 * density, 4, true);
  const RowSimilarityParams params = {.k = k};
  expect_naive(run(context(), queries, dense, -1, params), queries, dense, -1, params);
}

TEST_P(RowSimilarityTest, DoesNotDependOnOtherQueriesOrThreads) {
  const auto& [rows, columns, density, k] = shape();
  const Dense dense = made(rows, columns, density, 9, false);
  const RowSimilarityParams params = {.k = k, .shrinkage = 1};
  const Found all = run(context(), some_of(dense), dense, 0, params);
  for (const int64_t row : {int64_t{0}, some_of(dense).rows / 2, some_of(dense).rows - 1}) {
    const Dense one = {1, columns, {dense.row(row), dense.row(row) + columns}};
    const Found alone = run(context(), one, dense, row, params);
    EXPECT_TRUE(std::equal(alone.ids.begin(), alone.ids.end(), all.ids.begin() + row * k));
    EXPECT_TRUE(std::equal(alone.scores.begin(), alone.scores.end(), all.scores.begin() + row * k));
  }
  if (backend() == TestBackend::gpu) return;
  auto three = Context::cpu(3, isa());
  const Found again = run(three, dense, dense, 0, params);
  EXPECT_EQ(again.ids, all.ids);
  EXPECT_EQ(again.scores, all.scores);
}

// Dense ones with vectors that are not full, one with so few products that rows are visited, and no entries at all.
INSTANTIATE_BACKENDS(RowSimilarityTest, Shape{1, 1, 1, 1}, Shape{2, 3, 1, 2}, Shape{61, 37, 0.3, 7},
                     Shape{131, 50, 0.6, 131}, Shape{523, 900, 0.002, 10}, Shape{17, 5, 0, 3}, Shape{300, 67, 0.2, 1});

TEST(RowSimilarity, TiesGoToTheLowerIndex) {
  for (const Isa isa : {Isa::v3, Isa::v4}) {
    if (!supported(isa)) continue;
    auto context = Context::cpu(1, isa);
    const Dense ones = {300, 1, std::vector<float>(300, 1)};
    for (const int64_t shrinkage : {0, 1}) {
      const auto found = run(context, ones, ones, 0, {.k = 3, .shrinkage = static_cast<float>(shrinkage)});
      EXPECT_EQ(std::vector(found.ids.begin(), found.ids.begin() + 6), (std::vector{1, 2, 3, 0, 2, 3}));
    }
  }
}

// Ratings of which all common ones are equal, and a single common one, have no correlation.
TEST(RowSimilarity, PearsonOfConstantsIsZero) {
  auto context = Context::cpu(1);
  const Dense rows = {4, 4, {3, 3, 3, NAN, 1, 5, 2, NAN, 0.1f, 0.1f, 0.1f, 1, 2, NAN, NAN, 5}};
  const auto found = run(context, rows, rows, 0, {.measure = RowMeasure::pearson, .k = 3, .keep_negative = true});
  EXPECT_EQ(std::vector(found.ids.begin(), found.ids.begin() + 6), (std::vector{-1, -1, -1, -1, -1, -1}));
}

TEST(RowSimilarity, WrongTasksAreRefused) {
  auto context = Context::cpu(1);
  const Dense rows = made(3, 4, 0.5, 1, true);
  const auto expect = [&](int64_t first, const RowSimilarityParams& params, const std::string& text) {
    EXPECT_THAT([&] { run(context, rows, rows, first, params); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  expect(0, {.k = 2, .min_support = 0}, "row_similarity: min_support is 0, expected 1 or more");
  expect(0, {.k = 2, .shrinkage = -1}, "row_similarity: shrinkage is -1, expected 0 or more");
  expect(1, {.k = 2}, "row_similarity: queries are rows 1 to 4, expected at most 3");
  expect(0, {.k = 0}, "row_similarity: k is 0, expected 1 to 3");
  expect(0, {.k = 4}, "row_similarity: k is 4, expected 1 to 3");
}

}  // namespace
}  // namespace sartor::cuda
