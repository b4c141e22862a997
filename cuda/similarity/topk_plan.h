// How topk searches on a GPU: which of its three ways ("roads"), with which tiles and how many blocks. Functions of
// shapes and of the device's limits alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/gpu_limits.h"

namespace sartor::cuda {

// Type of the rows that are multiplied.
enum class TopkElement { fp32, fp16, bf16 };

constexpr int64_t bytes_of(TopkElement element) { return element == TopkElement::fp32 ? 4 : 2; }

// Shape of a search: (queries, columns) and (items, columns), k results.
struct TopkShape {
  int64_t queries, items, columns, k;
  TopkElement element = TopkElement::fp32;
};

enum class TopkRoad {
  scan,   // few queries: bound by reading the items
  fused,  // tiles of scores on tensor cores, each query's best on chip
  tiled,  // k too large for that: tiles of scores in memory, radix select
};

// Launch of topk_fused. A block of 256 threads compares query_tile queries with the tiles of one of `splits` ranges of
// the items.
struct FusedPlan {
  static constexpr int threads = 256;
  static constexpr int item_tile = 128;
  static constexpr int column_bytes = 128;  // of each row of a tile, in shared memory at a time

  int query_tile = 128;         // or 64
  bool resident = true;         // the queries stay in shared memory; otherwise they are read again with each item tile
  int stages = 3;               // steps of columns in shared memory, one in use and the others under way
  int capacity = 0;             // candidates per query in shared memory, above k
  int splits = 1;               // ranges of items
  int64_t tiles_per_split = 0;  // item tiles of a range
  int64_t queries_at_a_time = 0;  // per launch, so that the candidates fit into the workspace
  int64_t shared_bytes = 0;
  int64_t workspace_bytes = 0;  // (queries_at_a_time, splits, k) keys
};

// Plan of topk_fused, or none if k candidates per query do not fit into shared memory or into the workspace.
std::optional<FusedPlan> fused_plan(const TopkShape& shape, const GpuLimits& limits, int64_t workspace_bytes);

}  // namespace sartor::cuda
