// How many blocks select the k best of each row of scores, and with how much memory.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/gpu/limits.h"

namespace sartor::cuda {

// Elements between the beginnings of rows of `columns` scores, so that each is aligned to 16 bytes.
constexpr int64_t score_stride(int64_t columns) { return (columns + 3) / 4 * 4; }

struct SelectPlan {
  static constexpr int digits = 6, bins = 2048;  // of a key
  static constexpr int candidates = 2048;        // of a row, sorted in shared memory
  static constexpr int64_t shared_state_bytes = 16 + digits * bins * 4 + candidates * 8;  // of blocks that share a row

  int blocks_per_row = 1;  // if above 1, all blocks run at a time
  int64_t state_bytes = 0;
  int64_t workspace_bytes = 0;  // state, then two arrays of (rows, k) keys
};

// Rows are shared by several blocks if there are too few of them to fill the GPU, each block with at least 8192 scores.
constexpr SelectPlan select_plan(int64_t rows, int64_t columns, int64_t k, const GpuLimits& limits) {
  constexpr int64_t least = 8192;
  SelectPlan plan;
  plan.blocks_per_row = static_cast<int>(
      std::max(std::min(limits.multiprocessors / std::max(rows, int64_t{1}), columns / least), int64_t{1}));
  plan.state_bytes = plan.blocks_per_row > 1 ? rows * SelectPlan::shared_state_bytes : 0;
  plan.workspace_bytes = plan.state_bytes + 2 * rows * k * 8;
  return plan;
}

}  // namespace sartor::cuda
