// Writing of topk's results on a GPU.
#pragma once

#include <cmath>

#include "core/views.h"
#include "similarity/topk_key.h"

namespace sartor::cuda {

// Writes the result of that rank; key 0: none.
__device__ inline void write_result(const TopK& found, int64_t query, int64_t rank, TopkKey key) {
  const int64_t place = query * found.k + rank;
  found.scores[place] = key ? topk_score(key) : -INFINITY;
  found.ids[place] = key ? topk_id(key) : -1;
}

}  // namespace sartor::cuda
