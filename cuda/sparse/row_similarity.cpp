#include "sparse/row_similarity.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void row_similarity(Context& context, const RowSimilarityTask& task) {
  const auto& [queries, columns, rows, first, sizes, params, found] = task;
  require(rows >= 1 && rows <= INT32_MAX, "row_similarity: {} rows, expected 1 to {}", rows, INT32_MAX);
  require(params.k >= 1 && params.k <= rows, "row_similarity: k is {}, expected 1 to {}", params.k, rows);
  require(params.min_support >= 1, "row_similarity: min_support is {}, expected 1 or more", params.min_support);
  require(params.shrinkage >= 0, "row_similarity: shrinkage is {}, expected 0 or more", params.shrinkage);
  require(found.rows == queries.rows && found.k == params.k, "row_similarity: found is ({}, {}), expected ({}, {})",
          found.rows, found.k, queries.rows, params.k);
  require(first == -1 || (first >= 0 && first + queries.rows <= rows),
          "row_similarity: queries are rows {} to {}, expected at most {}", first, first + queries.rows, rows);
  require(params.measure != RowMeasure::jaccard || sizes, "row_similarity: jaccard requires sizes");
  if (queries.rows == 0) return;
  const ProfilerRange range("row_similarity");
  context.operations().row_similarity(context, task);
}

}  // namespace sartor::cuda
