// Matrix factorization of explicit ratings by stochastic gradient descent (SGD): passes over the ratings.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

struct SgdRating {
  int32_t user, item;
  float value;  // minus the global mean
};

// The number of columns of the rows must be a multiple of it.
constexpr int64_t sgd_padding = 16;
// Columns of a row before its factors. Users have their bias in the first and a 1 in the second, items a 1 in the first
// and their bias in the second, so that the dot product of two rows is the sum of both biases and <factors, factors>.
// Without biases, all four are 0.
constexpr int64_t sgd_bias_columns = 2;

constexpr int64_t sgd_columns(int64_t factors) {
  return (factors + sgd_bias_columns + sgd_padding - 1) / sgd_padding * sgd_padding;
}

// Users, or items. All arrays are in the context's memory.
struct SgdSide {
  Rows<float> rows;      // (R, c) biases, factors, and zeros
  const float* weights;  // (R) of the regularization
  float* squares;        // (R) running sums of AdaGrad; null: constant learning rates
};

struct SgdParams {
  float learning_rate = 0.005f;
  float bias_learning_rate = 0.005f;
  float regularization = 0.02f;
  float bias_regularization = 0.02f;
  bool deterministic = true;
};

// Cells of a grid of blocks of users and blocks of items. In round s, users of block b meet items of block
// (b + s) % blocks, so that no two cells of a round have a row in common.
struct SgdGrid {
  const SgdRating* ratings = nullptr;  // in the context's memory, cell by cell
  const int64_t* cells = nullptr;      // (blocks, blocks), + 1: offsets of the cells in `ratings`, on the host
  int64_t blocks = 1;

  int64_t cell(int64_t users, int64_t items) const { return users * blocks + items; }
};

// Arguments of sgd_rounds.
struct SgdTask {
  SgdGrid grid;
  int64_t first_users = 0, last_users = 0;  // blocks of users: first_users to last_users - 1
  int64_t first_round = 0, last_round = 0;  // rounds: first_round to last_round - 1, at most `blocks`
  int64_t factors = 0;                      // f, at most c - sgd_bias_columns
  SgdSide users, items;
  SgdParams params;
  double* squared_error = nullptr;  // on the host: sum of the squared errors of the ratings, each before its update
  // On the host, only of a CPU: the parts of the cells (blocks, blocks); those of cells that are not trained now
  // remain, and count in squared_error. Null: they are not wanted.
  double* cell_errors = nullptr;
};

// For each rating of the rounds' cells, in their order within a cell, with error e = value - <x_u, y_i>:
//
//   g_u = rho (e y_i - w_u lambda x_u)      x_u += eta_u g_u
//   g_i = rho (e x_u - w_i lambda y_i)      y_i += eta_i g_i
//
// lambda is bias_regularization for the bias and regularization for the factors, rho is bias_learning_rate /
// learning_rate and 1, w the side's weight, and eta learning_rate, or with AdaGrad (Chin et al. 2015, one rate per row)
//
//   eta_u = learning_rate / sqrt(1 + s_u)   and then   s_u += |g_u|^2 / f
//
// With `deterministic`, cells with users or items in common are computed in the order of their rounds, others in
// parallel, so that the result does not depend on the threads. Otherwise a free thread takes a cell of any round whose
// users and items nobody else is updating; the order of the cells then depends on their timing. On GPUs the schedule is
// always the first. Throws std::invalid_argument if shapes or ranges do not fit.
void sgd_rounds(Context& context, const SgdTask& task);

}  // namespace sartor::cuda
