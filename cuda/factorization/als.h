// Explicit factorisation by alternating least squares: one half of an epoch.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

struct AlsParams {
  float regularization = 0.05f;       // lambda, >= 0
  float bias_regularization = 0.05f;  // beta, the same for the bias, >= 0
  float regularization_power = 1;  // p, 0 .. 1: lambda and beta grow with the row's ratings as n^p. 0 is plain ridge, 1
                                   // is weighted-lambda (Zhou et al. 2008), 0.5 lies between
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
// ratings      (R, C) the row's ratings by the other side's index
// mean         global mean, subtracted from every rating
// fixed        (C, f) y;  fixed_bias (C) g, or null without biases
// solved       (R, f) x, overwritten;  solved_bias (R) b, overwritten, or null without biases: both null or neither
//
// All in the context's memory. Beside it about f^2 / 2 + 140 f floats of scratch a thread (on a GPU a block, of which
// as many run as 1 GiB holds, at least one); it does not grow with R or C. The same bits on every run, whatever the
// number of threads. Throws std::invalid_argument on unequal f, f below 1, unequal rows, negative regularisation, a
// power outside 0 .. 1, one bias without the other.
void als_update(Context& context, Csr<const float> ratings, float mean, Rows<const float> fixed,
                const float* fixed_bias, Rows<float> solved, float* solved_bias, const AlsParams& params);

}  // namespace sartor::cuda
