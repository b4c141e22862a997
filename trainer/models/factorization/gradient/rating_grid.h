// Ratings in the order in which stochastic gradient descent visits them.
#pragma once

#include <cstdint>
#include <vector>

#include "factorization/sgd/sgd.h"
#include "storage/prepared.h"

namespace sartor {

// See cuda::SgdGrid.
struct RatingGrid {
  int64_t blocks = 1;
  std::vector<int64_t> cells;                   // (blocks, blocks), + 1
  std::vector<cuda::SgdRating> ratings;         // by cell; their values are those of the file minus the mean
  std::vector<int32_t> user_block, item_block;  // block of each user and item
};

// Blocks per side. On a CPU, cells are small enough that their rows stay in the L2 cache, and large enough that threads
// do not wait for each other often; on a GPU, a round has as many cells as there are warps to train on them. Does not
// depend on the number of threads.
int64_t grid_blocks(int64_t ratings, bool gpu);

// Assigns users and items to blocks at random, such that the blocks have about the same number of ratings, and shuffles
// the ratings within a cell. `data` is read twice.
RatingGrid shuffled_grid(const datasets::Prepared& data, double mean, int64_t blocks, int64_t seed);

// One cell with all ratings by user, in the order of the file.
RatingGrid stored_order(const datasets::Prepared& data, double mean);

}  // namespace sartor
