// Plan of topk_tiled: the search for any k, from tiles of scores in memory.
#pragma once

#include <algorithm>
#include <cstdint>

#include "similarity/selection/select_plan.h"
#include "similarity/topk_shape.h"

namespace sartor::cuda {

// cuBLAS multiplies `queries` queries with `items` items at a time. The k best of these and of the items before are
// selected, and sorted after the last tile of items.
struct TiledPlan {
  int64_t queries = 0, items = 0;
  SelectPlan select;
  int64_t workspace_bytes = 0;  // scores (queries, score_stride(items)), then that of `select`
};

// Plan with tiles of this size. Rows of scores are shared by several blocks if that is useful and the memory allows it.
constexpr TiledPlan tiled_plan(const SearchShape& shape, const GpuLimits& limits, int64_t workspace_bytes,
                               int64_t queries, int64_t items) {
  TiledPlan plan{queries, items, select_plan(queries, items, shape.k, limits), 0};
  const int64_t scores = 4 * queries * score_stride(items);
  if (scores + plan.select.workspace_bytes > workspace_bytes) plan.select = select_plan(queries, items, shape.k, {});
  plan.workspace_bytes = scores + plan.select.workspace_bytes;
  return plan;
}

// Tiles that fit into the workspace where possible. Every tile selects from its scores and the k best so far, so that
// all items at a time cost least; a product of 128 queries or more is bound by arithmetic. If both do not fit, the
// items are divided, but not below 4 k, where the keys from before would dominate; then fewer queries are taken, at
// least one, which needs 4 min(N, max(4 k, 65536)) + 16 k bytes, whatever the bound.
constexpr TiledPlan tiled_plan(const SearchShape& shape, const GpuLimits& limits, int64_t workspace_bytes) {
  constexpr int64_t enough_queries = 128, least_items = 65536;
  const int64_t fewest_items = std::min(shape.items, std::max(4 * shape.k, least_items));
  const auto fitting_queries = [&](int64_t items) {
    const int64_t bytes_per_query = tiled_plan(shape, {}, 0, 1, items).workspace_bytes;
    return std::clamp(workspace_bytes / bytes_per_query, int64_t{1}, shape.queries);
  };
  int64_t tiles = 1, items = shape.items;
  while (items > fewest_items && fitting_queries(items) < std::min(shape.queries, enough_queries)) {
    tiles++;
    items = std::max((shape.items + tiles - 1) / tiles, fewest_items);
  }
  return tiled_plan(shape, limits, workspace_bytes, fitting_queries(items), items);
}

}  // namespace sartor::cuda
