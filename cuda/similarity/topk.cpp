#include "similarity/topk.h"

#include <limits>

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void topk(Context& context, const TopkTask& task) {
  const auto& [queries, items, item_bias, excluded, params, found] = task;
  require(queries.columns == items.columns, "topk: queries have {} columns, items {}", queries.columns, items.columns);
  require(items.rows <= std::numeric_limits<int32_t>::max(), "topk: {} items, expected fewer than 2^31", items.rows);
  require(1 <= params.k && params.k <= items.rows, "topk: k is {}, there are {} items", params.k, items.rows);
  require(found.rows == queries.rows && found.k == params.k, "topk: found has {} x {} elements, expected {} x {}",
          found.rows, found.k, queries.rows, params.k);
  require(excluded.rows == 0 || excluded.rows == queries.rows, "topk: {} rows of excluded ids for {} queries",
          excluded.rows, queries.rows);
  require(!item_bias || params.similarity == Similarity::dot, "topk: item_bias requires similarity dot, found cosine");
  if (queries.rows == 0) return;
  const ProfilerRange range("topk");
  context.operations().topk(context, task);
}

}  // namespace sartor::cuda
