// Similarity search among the rows of a sparse matrix.
#pragma once

#include <cstdint>

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Similarity of two rows x and y with n common columns, over which all sums run:
//
//   dot       sum x y. The cosine if the rows have length 1: missing values count as 0
//   cosine    sum x y / sqrt(sum x^2 sum y^2)
//   pearson   correlation of the common values
//   msd       1 / (1 + mean (x - y)^2), from the mean squared difference
//   jaccard   n / (number of columns of either row)
//
// A denominator of 0 gives 0.
enum class RowMeasure { dot, cosine, pearson, msd, jaccard };

struct RowSimilarityParams {
  RowMeasure measure = RowMeasure::dot;
  int64_t k = 10;           // 1 to the number of rows
  int64_t min_support = 1;  // rows with fewer common columns are not found
  // Multiplies similarities by m / (m + shrinkage): m = n for dot and jaccard; m = n - 1 for the others, which one
  // common column determines up to the sign (Koren 2008).
  float shrinkage = 0;
  bool keep_negative = false;  // whether rows with similarities below 0 are found
};

// For each row of `queries`, the k rows with the highest similarities other than 0, best first; equal ones by lower
// index. Padded with -1 and scores of -inf if there are fewer. Needs memory for a few numbers per row and thread (on a
// GPU: per row and warp or block).
struct RowSimilarityTask {
  Csr<const float> queries;  // (q, columns); the first offset may be above 0
  Csr<const float> columns;  // (columns, rows): the rows to search, transposed
  int64_t rows = 0;          // number of rows
  int64_t first = -1;        // row that query 0 is, query 1 being the next; not found by themselves. -1: other rows
  const int64_t* sizes = nullptr;  // (rows) number of entries of each row; for jaccard only
  RowSimilarityParams params;
  TopK found;  // (q, k)
};

// Throws std::invalid_argument if shapes or parameters do not fit. The result of a query does not depend on the others.
void row_similarity(Context& context, const RowSimilarityTask& task);

}  // namespace sartor::cuda
