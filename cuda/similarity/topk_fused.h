// Plan of topk_fused: the search by tiles of scores on tensor cores, each query's best candidates on chip.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "core/gpu/limits.h"
#include "similarity/topk_shape.h"

namespace sartor::cuda {

// Launches of topk_fused. A block compares query_tile queries with the item tiles of one of `splits` ranges.
struct FusedPlan {
  static constexpr int threads = 256;
  static constexpr int item_tile = 128;
  static constexpr int column_bytes = 128;  // of each row of a tile, in shared memory at a time

  // Blocks that share a multiprocessor as far as registers permit: two with up to 128 per thread.
  static constexpr int blocks(int query_tile, bool three_products) {
    return query_tile == 128 && three_products ? 1 : 2;
  }

  int query_tile = 128;  // or 64
  bool resident = true;  // the queries stay in shared memory; otherwise they are read with each item tile
  int stages = 3;        // tiles of columns in shared memory: 3 or 4, one in use and the others under way
  int capacity = 0;      // candidates per query in shared memory
  int splits = 1;        // ranges of items
  int item_tiles = 0;
  int tiles_per_split = 0;        // item tiles of a range
  int64_t queries_at_a_time = 0;  // per launch
  int64_t workspace_bytes = 0;    // (queries_at_a_time, splits, k) keys

  int64_t shared_bytes = 0;
};

namespace fused {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Tiles of columns, at least one.
constexpr int64_t column_tiles(const SearchShape& shape) {
  return std::max<int64_t>(ceil_div(shape.columns * bytes_of(shape.element), FusedPlan::column_bytes), 1);
}

// Shared memory without candidates: tiles; scales and biases of items; per query bits and ids of exclusions (28 bytes),
// threshold, number of candidates and scale.
constexpr int64_t fixed_bytes(const FusedPlan& plan, int64_t column_tiles) {
  const int64_t rows = plan.query_tile, kept = plan.resident ? column_tiles : plan.stages;
  return (rows * kept + FusedPlan::item_tile * plan.stages) * FusedPlan::column_bytes +
         FusedPlan::item_tile * plan.stages * 8 + rows * (28 + 8 + 4 + 4);
}

// Room for candidates: 8 more than a multiple of 16, so that lists side by side begin in different halves of the banks.
// A list is cut to k when it is full, so it needs some slack; more than 3 k makes cuts longer, not rarer.
constexpr int64_t round_capacity(int64_t n) { return ceil_div(n - 8, 16) * 16 + 8; }
constexpr int64_t least_capacity(int64_t k) { return round_capacity(k + std::max<int64_t>(9, k / 2)); }
constexpr int64_t most_capacity(int64_t k) { return round_capacity(std::max<int64_t>(3 * k, 40)); }

// Gives the plan as many candidates as fit beside its tiles if `blocks` blocks share a multiprocessor.
constexpr bool fit(FusedPlan& plan, const SearchShape& shape, const GpuLimits& limits, int blocks) {
  const int64_t shared = static_cast<int64_t>(
      std::min(limits.shared_bytes_per_block, limits.shared_bytes_per_multiprocessor / blocks - 1024));
  const int64_t fixed = fixed_bytes(plan, column_tiles(shape)), list_bytes = plan.query_tile * int64_t{8};
  const int64_t room = (shared - fixed) / list_bytes;
  if (shared < fixed || room < least_capacity(shape.k)) return false;
  plan.capacity = static_cast<int>(std::min((room - 8) / 16 * 16 + 8, most_capacity(shape.k)));
  plan.shared_bytes = fixed + plan.capacity * list_bytes;
  return true;
}

// Chooses tiles: 128 queries if there are as many and their candidates have room, the queries kept in shared memory if
// they fit, then two blocks per multiprocessor, of which one multiplies while the other selects, or four stages.
constexpr bool choose_tiles(FusedPlan& plan, const SearchShape& shape, const GpuLimits& limits) {
  struct Choice {
    bool resident;
    int blocks, stages;
  };
  for (const int query_tile : {128, 64}) {
    if (query_tile == 128 && shape.queries <= 64) continue;
    const bool three_products = shape.element == TopkElement::fp32 && shape.three_products;
    for (const auto& [resident, blocks, stages] :
         {Choice{true, 2, 3}, {true, 1, 4}, {true, 1, 3}, {false, 1, 4}, {false, 1, 3}}) {
      if (blocks > FusedPlan::blocks(query_tile, three_products)) continue;
      plan.query_tile = query_tile;
      plan.resident = resident;
      plan.stages = stages;
      if (fit(plan, shape, limits, blocks)) return true;
    }
  }
  return false;
}

// Chooses the number of ranges of items: the one with the least time, in item tiles, of all waves of blocks. Each block
// spends about four tiles' time on its start and on scores before thresholds are of use.
constexpr void choose_splits(FusedPlan& plan, const SearchShape& shape, const GpuLimits& limits,
                             int64_t workspace_bytes) {
  constexpr int64_t start = 4;
  const int per_multiprocessor =
      std::min(FusedPlan::blocks(plan.query_tile, shape.element == TopkElement::fp32 && shape.three_products),
               blocks_per_multiprocessor(limits, FusedPlan::threads, plan.shared_bytes, 128));
  const int64_t blocks = int64_t{limits.multiprocessors} * per_multiprocessor;
  const int64_t query_tiles = ceil_div(plan.queries_at_a_time, plan.query_tile);
  const int64_t item_tiles = ceil_div(shape.items, FusedPlan::item_tile);
  const int64_t most = std::min({item_tiles, 2 * blocks, workspace_bytes / (plan.queries_at_a_time * shape.k * 8)});
  plan.item_tiles = static_cast<int>(item_tiles);
  int64_t least = 0;
  for (int64_t splits = 1; splits <= most; splits++) {
    const int64_t tiles = ceil_div(item_tiles, splits);
    const int64_t time = ceil_div(query_tiles * splits, blocks) * (tiles + start);
    if (splits > 1 && time >= least) continue;
    least = time;
    plan.tiles_per_split = static_cast<int>(tiles);
  }
  plan.splits = static_cast<int>(ceil_div(item_tiles, plan.tiles_per_split));
  plan.workspace_bytes = plan.queries_at_a_time * plan.splits * shape.k * 8;
}

}  // namespace fused

// Plan of topk_fused, or none if there is no room for a query tile's candidates in shared memory or in the workspace.
constexpr std::optional<FusedPlan> fused_plan(const SearchShape& shape, const GpuLimits& limits,
                                              int64_t workspace_bytes) {
  FusedPlan plan;
  if (!fused::choose_tiles(plan, shape, limits)) return std::nullopt;
  const int64_t room = workspace_bytes / (shape.k * 8);
  plan.queries_at_a_time = shape.queries <= room ? shape.queries : room / plan.query_tile * plan.query_tile;
  if (plan.queries_at_a_time == 0) return std::nullopt;
  fused::choose_splits(plan, shape, limits, workspace_bytes);
  return plan;
}

}  // namespace sartor::cuda
