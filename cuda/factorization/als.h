// Explicit factorisation by alternating least squares: one half of an epoch.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

struct AlsParams {
  float regularization = 1.2f;        // lambda, >= 0
  float bias_regularization = 1.2f;   // beta, the same for the bias, >= 0
  float regularization_power = 0.5f;  // p, 0 .. 1: lambda and beta grow with the row's ratings as n^p. 0 is plain
                                      // ridge, 1 is weighted-lambda (Zhou et al. 2008), 0.5 lies between
};

// One call of als_update. All in the context's memory.
struct AlsTask {
  Csr<const float> ratings;           // (R, C) the row's ratings by the other side's index
  float mean = 0;                     // global mean, subtracted from every rating
  Rows<const float> fixed;            // (C, f) y
  const float* fixed_bias = nullptr;  // (C) g, or null without biases
  Rows<float> solved;                 // (R, f) x, overwritten
  float* solved_bias = nullptr;       // (R) b, overwritten, or null without biases: both null or neither
  AlsParams params;
};

// Solves every row of `solved` (and its bias) for the ratings of that row, the other side fixed.
//
//   minimise over x_r, b_r:   sum over rated c of (rating_rc - mean - b_r - g_c - <x_r, y_c>)^2
//                             + lambda n_r^p |x_r|^2 + beta n_r^p b_r^2,     n_r the number of the row's ratings
//
// by Cholesky in fp32 of the normal equations or, for rows with fewer ratings than factors, of their dual, which has
// the same solution and the size of the ratings. Rows without ratings become 0. Where the equations are singular
// (lambda 0 and fewer ratings than unknowns, or dependent columns of y) lambda and beta are raised by the smallest of
// 1e-6, 1e-5 .. times the mean diagonal entry that makes them solvable: close to the shortest of all solutions. A row
// that depends on a number that is not finite becomes NaN.
//
// Takes about f^2 / 2 + 140 f floats of scratch a thread (on a GPU a block, of which
// as many run as 1 GiB holds, at least one); it does not grow with R or C. The same bits on every run, whatever the
// number of threads. Throws std::invalid_argument on unequal f, f below 1, unequal rows, negative regularisation, a
// power outside 0 .. 1, one bias without the other.
void als_update(Context& context, const AlsTask& task);

}  // namespace sartor::cuda
