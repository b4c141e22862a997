// Products of a row of a sparse matrix with another sparse matrix: a warp loads 32 entries of the row at once, and then
// takes one after the other.
#pragma once

#include <cstdint>

#include "core/views.h"

namespace sartor::cuda {

// An entry of a row of `left`: its value, and where the row of `right` is that its column selects.
struct RowEntry {
  float value;
  int64_t first, last;
};

// The entry of this lane; empty from `end` on.
__device__ inline RowEntry load_entry(const Csr<const float>& left, const Csr<const float>& right, int64_t at,
                                      int64_t end) {
  if (at >= end) return {};
  const int64_t* row = right.offsets + left.columns[at];
  return {left.values[at], row[0], row[1]};
}
__device__ inline RowEntry entry_of_lane(const RowEntry& own, int lane) {
  return {__shfl_sync(~0u, own.value, lane), __shfl_sync(~0u, own.first, lane), __shfl_sync(~0u, own.last, lane)};
}

}  // namespace sartor::cuda
