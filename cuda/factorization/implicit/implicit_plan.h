// How implicit_update and gram run on a GPU: functions of shapes alone, so that results do not depend on the GPU.
#pragma once

#include <algorithm>
#include <cstdint>

#include "factorization/implicit/implicit.h"

namespace sartor::cuda {

// The rows of Y are added in parts, and the parts of a share one after the other. Shares are computed by different
// blocks and then added in order.
struct GramPlan {
  static constexpr int64_t part = 1024;                      // rows
  static constexpr int64_t tile_columns = 2 * gram_tile;     // of the elements that a block computes; rows: gram_tile
  static constexpr int64_t most_shares = 256, blocks = 512;  // blocks that fill a GPU

  int64_t shares, share;  // number, and rows of each: a multiple of `part`
};

constexpr GramPlan gram_plan(int64_t rows, int64_t factors) {
  int64_t tiles = 0;
  for (int64_t first = 0; first < factors; first += gram_tile) {
    tiles += (factors - first + GramPlan::tile_columns - 1) / GramPlan::tile_columns;
  }
  const int64_t parts = std::max<int64_t>((rows + GramPlan::part - 1) / GramPlan::part, 1);
  const int64_t most = std::clamp<int64_t>(GramPlan::blocks / tiles, 1, GramPlan::most_shares);
  const int64_t per_share = (parts + most - 1) / most;
  return {(parts + per_share - 1) / per_share, per_share * GramPlan::part};
}

// Rows whose vectors are in scratch memory at the same time, if each needs `floats` floats.
constexpr int64_t implicit_rows_per_pass(int64_t rows, int64_t floats) {
  constexpr int64_t most_floats = 1 << 26, most_rows = 1 << 20;
  return std::min(rows, std::clamp<int64_t>(most_floats / floats, 1, most_rows));
}

}  // namespace sartor::cuda
