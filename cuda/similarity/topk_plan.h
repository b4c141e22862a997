// The rule by which topk chooses one of its three ways ("roads") to search on a GPU: a function of shapes and of the
// device's limits alone.
#pragma once

#include <variant>

#include "similarity/topk_fused.h"
#include "similarity/topk_scan.h"
#include "similarity/topk_tiled.h"

namespace sartor::cuda {

using TopkPlan = std::variant<ScanPlan, FusedPlan, TiledPlan>;

// Plan of a search with at most workspace_bytes of scratch memory, or a little more if no plan needs less.
//
//   scan   up to 16 queries: items are read once for all of them, and arithmetic costs less than reading
//   fused  more, if each query's candidates have room in shared memory: scores never leave the chip
//   tiled  k is too large for that: tiles of scores in memory, from which the best are selected
inline TopkPlan choose_plan(const SearchShape& shape, const GpuLimits& limits, int64_t workspace_bytes) {
  if (const auto plan = scan_plan(shape, limits, workspace_bytes)) return *plan;
  if (const auto plan = fused_plan(shape, limits, workspace_bytes)) return *plan;
  return tiled_plan(shape, limits, workspace_bytes);
}

}  // namespace sartor::cuda
