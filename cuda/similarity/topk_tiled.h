// Plan of topk_tiled: the search for any k, from tiles of scores in memory.
#pragma once

#include <algorithm>
#include <cstdint>

#include "similarity/selection/select_plan.h"
#include "similarity/topk_plan.h"

namespace sartor::cuda {

// cuBLAS multiplies `queries` queries at a time with `items` items at a time; the k best of each tile and of those
// before are selected.
struct TiledPlan {
  int64_t queries = 0, items = 0;
  SelectPlan select;
  int64_t workspace_bytes = 0;
};

}  // namespace sartor::cuda
