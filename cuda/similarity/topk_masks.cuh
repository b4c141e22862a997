// Which items a query of a top-k search may find.
#pragma once

#include "similarity/topk_search.cuh"

namespace sartor::cuda {

__device__ inline bool contains(const int32_t* begin, const int32_t* end, int32_t id) {
  while (begin < end) {
    const int32_t* middle = begin + (end - begin) / 2;
    if (*middle == id) return true;
    *middle < id ? begin = middle + 1 : end = middle;
  }
  return false;
}

// Bits of items 32 `word` to 32 `word` + 31 that `allowed` and `denied` let through.
__device__ inline uint32_t open_items(const TopkSearch& search, int64_t word) {
  const uint32_t allowed = search.allowed ? search.allowed[word] : ~0u;
  return search.denied ? allowed & ~search.denied[word] : allowed;
}

// For single candidates: whether neither the bitsets nor the exclusions of query `query` forbid `item`.
__device__ inline bool may_find(const TopkSearch& search, int64_t query, int32_t item) {
  if (!(open_items(search, item / 32) >> item % 32 & 1)) return false;
  if (search.excluded.rows == 0) return true;
  const int64_t* range = search.excluded.offsets + query;
  return !contains(search.excluded.ids + range[0], search.excluded.ids + range[1], item);
}

}  // namespace sartor::cuda
