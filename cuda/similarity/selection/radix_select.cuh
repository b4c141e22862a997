// The k best of rows of scores in memory, by radix select.
#pragma once

#include "similarity/selection/select_plan.h"
#include "similarity/topk_search.cuh"

namespace sartor::cuda {

// Scores of queries first_query, ... and items first_item, ...: row r begins at scores + r * stride.
struct ScoreTile {
  float* scores = nullptr;  // (rows, columns), aligned to 16 bytes
  int64_t stride = 0;       // score_stride(columns)
  int64_t rows = 0, columns = 0;
  int64_t first_query = 0, first_item = 0;
  bool products =
      false;  // sums of products, which still have to become scores; otherwise -inf marks what must not be found
};

// Writes the keys of the k best items of each query to best (rows, k), in no fixed order, then 0. The choice is from
// the tile and from kept (rows, k), if not null, keys of other items with 0 for empty slots. Overwrites products with
// scores. state: device memory of plan.state_bytes.
void select_best(GpuBackend& backend, const TopkSearch& search, const ScoreTile& tile, const SelectPlan& plan,
                 void* state, const TopkKey* kept, TopkKey* best);

}  // namespace sartor::cuda
