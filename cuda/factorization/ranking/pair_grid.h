// Order in which an epoch of bpr_epoch visits the pairs of users and items.
#pragma once

#include <cstdint>
#include <vector>

#include "core/views.h"
#include "factorization/ranking/bpr.h"

namespace sartor::cuda {

// A grid of `blocks` blocks of users by as many blocks of items, on the host. Cells that share neither row nor column
// can be trained at the same time. Cell (a, b) has the pairs cells[a blocks + b] to cells[a blocks + b + 1] - 1.
struct PairGrid {
  int64_t blocks = 0;
  std::vector<int64_t> cells;         // (blocks^2 + 1)
  std::vector<int32_t> users, items;  // (N)
  std::vector<int64_t> user_bounds;   // (blocks + 1) block b has the users user_bounds[b] to user_bounds[b + 1] - 1
  std::vector<int64_t> item_bounds;   // (blocks + 1)
  std::vector<int32_t> item_order;  // (I) block b has item_order[item_bounds[b]] to item_order[item_bounds[b + 1] - 1]
};

// Fills in the grid for an epoch: users are divided into ranges with similar numbers of pairs, items at random, and the
// pairs of a cell are in random order. Depends only on the pairs, the number of blocks and the seed. Pairs and cells
// are filled in for rows first_row to last_row - 1.
void plan_pairs(const IdLists& pairs, int64_t items, int64_t blocks, uint64_t seed, int threads, PairGrid& grid,
                int64_t first_row = 0, int64_t last_row = all_blocks);

}  // namespace sartor::cuda
