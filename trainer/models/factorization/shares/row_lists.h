// Lists of rows, such as neighbors or the entries of a sparse matrix, of which each rank finds those of a share of the
// rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/collective.h"

namespace sartor {

// Completes the lists of this rank's share, rows bounds[rank] to bounds[rank + 1] - 1, by those of the other ranks. Row
// number r of a matrix has ids[offsets[r]] to ids[offsets[r + 1] - 1], and as many values; offsets (rows + 1) ascend
// from 0.
void gather_lists(Collective& ranks, std::span<const int64_t> bounds, std::vector<int64_t>& offsets,
                  std::vector<int32_t>& ids, std::vector<float>& values);

}  // namespace sartor
