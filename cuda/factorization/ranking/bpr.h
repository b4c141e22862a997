// Matrix factorization by Bayesian personalized ranking (Rendle et al. 2009): one epoch of stochastic gradient descent.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

struct BprParams {
  float learning_rate = 0.05f;   // > 0
  float regularization = 0.01f;  // >= 0, of users, items and biases
  int64_t candidates = 1;        // 1 to most_bpr_candidates
};

constexpr int64_t most_bpr_candidates = 256;
constexpr int bpr_tries = 16;       // draws per candidate
constexpr int64_t all_blocks = -1;  // as a last row or diagonal

// Arguments of bpr_epoch. All arrays are in the context's memory.
struct BprTask {
  IdLists chosen;        // (U) items that each user has chosen, which are never negatives
  Rows<float> users;     // (U, f) x
  Rows<float> items;     // (I, f) y
  float* item_bias;      // (I) b
  int64_t blocks;        // the members of a PairGrid of the pairs of `chosen`
  const int64_t* cells;  //
  const int32_t* pair_users;
  const int32_t* pair_items;
  const int64_t* item_bounds;
  const int32_t* item_order;
  uint64_t seed;  // of the negatives
  BprParams params;
  int64_t first_row = 0, last_row = all_blocks;            // trained rows of the grid: first_row to last_row - 1
  int64_t first_diagonal = 0, last_diagonal = all_blocks;  // trained diagonals of these rows, likewise
};

// For every pair (u, i) of the grid, takes a step down the gradient of
//
//   -ln sigma(s_ui - s_uj) + lambda / 2 (|x_u|^2 + |y_i|^2 + |y_j|^2 + b_i^2 + b_j^2),     s_ui = b_i + <x_u, y_i>
//
// The negative j is the one with the highest s_uj of `candidates` items that are drawn uniformly from those of the
// cell's column that the user has not chosen (dynamic negative sampling, Zhang et al. 2013); a pair is skipped if none
// is found in 16 draws per candidate. The diagonals of the grid are trained one after the other, their cells in
// parallel, and the pairs of a cell in order. The result does not depend on the number of threads. On a GPU a cell is
// trained by a warp, so that several hundred blocks are needed to keep it busy. Throws std::invalid_argument if numbers
// of factors or rows differ, or a parameter is out of range.
void bpr_epoch(Context& context, const BprTask& task);

}  // namespace sartor::cuda
