// Plan of topk_scan: the search for a few queries, bound by reading the items once.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>

#include "similarity/selection/select_plan.h"
#include "similarity/topk_shape.h"

namespace sartor::cuda {

// Blocks take rounds of up to `round` items in turn and compare each with all queries, of which some columns at a time
// are in shared memory. Either each block keeps the k best per query in shared memory and topk_merge() makes one list
// of them, or, for large k, all scores are stored and selected from: two or three launches. Rows of 16 bits must be
// padded with zeros to a multiple of 8 columns.
struct ScanPlan {
  static constexpr int threads = 256;
  static constexpr int64_t max_queries = 16;
  static constexpr int64_t max_listed = 256;  // largest k of lists in shared memory

  int queries = 1;        // of the kernel, at least those of the search: 1, 4 or 16 in fp32, 8 or 16 in 16 bits
  bool lists = true;      // in shared memory; otherwise scores are stored
  int round = 0;          // items per block between barriers, at most
  int capacity = 0;       // of a list
  int panel_columns = 0;  // columns of the queries in shared memory at a time
  int blocks = 0;
  int64_t shared_bytes = 0;
  SelectPlan select;  // of the scores, if there are no lists
  int64_t workspace_bytes = 0;
};

// Plan of topk_scan, or none if there are too many queries or the workspace is too small.
constexpr std::optional<ScanPlan> scan_plan(const SearchShape& shape, const GpuLimits& limits,
                                            int64_t workspace_bytes) {
  if (shape.queries > ScanPlan::max_queries) return std::nullopt;
  ScanPlan plan;
  const bool fp32 = shape.element == TopkElement::fp32;
  plan.queries = fp32 ? (shape.queries == 1 ? 1 : shape.queries <= 4 ? 4 : 16) : shape.queries <= 8 ? 8 : 16;
  plan.round = plan.queries == (fp32 ? 1 : 8) ? 256 : 128;
  plan.lists = shape.k <= ScanPlan::max_listed;
  int64_t list_bytes = 0;
  if (plan.lists) {
    plan.capacity = static_cast<int>(std::bit_ceil(static_cast<uint64_t>(shape.k + plan.round)));
    list_bytes = shape.queries * (plan.capacity * 8 + 12);
  }

  // As many columns as leave room for two blocks per multiprocessor, or for one if these would be few.
  constexpr int64_t few_columns = 256, multiple = 64, padding = 64;  // padding: bytes per query
  const int64_t element = bytes_of(shape.element);
  const int64_t wanted = std::max((shape.columns + multiple - 1) / multiple, int64_t{1}) * multiple;
  const auto fitting = [&](size_t bytes) {
    return ((static_cast<int64_t>(bytes) - list_bytes) / plan.queries - padding) / element / multiple * multiple;
  };
  int64_t columns = fitting(std::min(limits.shared_bytes_per_multiprocessor / 2 - 1024, limits.shared_bytes_per_block));
  if (columns < std::min(wanted, few_columns)) columns = fitting(limits.shared_bytes_per_block);
  plan.panel_columns = static_cast<int>(std::min(columns, wanted));
  plan.shared_bytes = list_bytes + plan.queries * (plan.panel_columns * element + padding);

  const int registers = plan.queries == (fp32 ? 1 : 16) ? 80 : 128;
  const int64_t resident = blocks_per_multiprocessor(limits, ScanPlan::threads, plan.shared_bytes, registers);
  plan.blocks =
      static_cast<int>(std::min((shape.items + plan.round - 1) / plan.round, resident * limits.multiprocessors));
  if (plan.lists) {
    plan.workspace_bytes = shape.queries * plan.blocks * shape.k * 8;
  } else {
    plan.select = select_plan(shape.queries, shape.items, shape.k, limits);
    plan.workspace_bytes = 4 * shape.queries * score_stride(shape.items) + plan.select.workspace_bytes;
  }
  return plan.workspace_bytes <= workspace_bytes ? std::optional(plan) : std::nullopt;
}

}  // namespace sartor::cuda
