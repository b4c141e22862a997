#include "sparse/filters/top_scores.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void top_scores(Context& context, const TopScoresTask& task) {
  const auto& [scores, excluded, allowed, found] = task;
  require(1 <= found.k && found.k <= scores.columns, "top_scores: k is {}, expected 1 to {}", found.k, scores.columns);
  require(scores.columns < int64_t{1} << 31, "top_scores: {} items, expected less than 2^31", scores.columns);
  require(found.rows == scores.rows, "top_scores: scores have {} rows, found {}", scores.rows, found.rows);
  require(excluded.rows == 0 || excluded.rows == scores.rows, "top_scores: scores have {} rows, excluded {}",
          scores.rows, excluded.rows);
  if (scores.rows == 0) return;
  const ProfilerRange range("top_scores");
  context.operations().top_scores(context, task);
}

}  // namespace sartor::cuda
