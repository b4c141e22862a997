// Non-negative matrix factorization: one half of an epoch.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

enum class NonnegativeSolver {
  projected,      // coordinate descent: each factor in turn is set to its non-negative optimum (Cichocki and Phan 2009)
  multiplicative  // all factors of a row are multiplied at once (Lee and Seung 2001)
};

struct NonnegativeParams {
  NonnegativeSolver solver = NonnegativeSolver::projected;
  float regularization = 1.2f;        // lambda, >= 0
  float bias_regularization = 1.2f;   // beta, for the bias, >= 0
  float regularization_power = 0.5f;  // p, 0 to 1: lambda and beta are multiplied by n^p for a row with n ratings
  int64_t steps = 1;                  // of the solver per row, >= 1
};

// Arguments of nonnegative_update. All arrays are in the context's memory.
struct NonnegativeTask {
  Csr<const float> ratings;     // (R, C); columns are rows of `fixed`
  float mean = 0;               // subtracted from every rating
  bool biases = false;          // the last of the F numbers of a row is its bias, which may be negative
  Rows<const float> fixed;      // (C, F) y; non-negative except for biases
  const float* gram = nullptr;  // (F, F) sum of y y^T over all of `fixed`, of which the part from the diagonal on is
                                // read: pairs without a rating have the target 0. Null: only ratings count
  Rows<float> solved;           // (R, F) x, the start of the solver, non-negative except for biases; updated
  NonnegativeParams params;
};

// Lowers, for given `fixed`, the loss of every row,
//
//   sum over rated c of (rating_rc - mean - b_r - g_c - <x_r, y_c>)^2 + lambda n_r^p |x_r|^2 + beta n_r^p b_r^2
//
// with x_r >= 0, where b_r and g_c are the biases; with `gram`, the sum is over all columns c. Each step gives a loss
// that is not higher, apart from rounding. A factor whose features are all 0 becomes 0.
//
// A row's result depends neither on the other rows nor on the number of threads. Runs on CPUs only. Throws
// std::invalid_argument if shapes do not fit, a parameter is out of range, biases are combined with the multiplicative
// solver or with `gram`, or the context is on a GPU. With the multiplicative solver, ratings must not be below the
// mean.
void nonnegative_update(Context& context, const NonnegativeTask& task);

}  // namespace sartor::cuda
