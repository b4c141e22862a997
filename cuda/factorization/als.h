// Matrix factorization of explicit ratings by alternating least squares (ALS): one half of an epoch.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

struct AlsParams {
  float regularization = 1.2f;        // lambda, >= 0
  float bias_regularization = 1.2f;   // beta, for the bias, >= 0
  float regularization_power = 0.5f;  // p, 0 to 1: lambda and beta are multiplied by n^p for a row with n ratings.
                                      // 0: plain ridge; 1: weighted-lambda (Zhou et al. 2008)
};

// Arguments of als_update. All arrays are in the context's memory.
struct AlsTask {
  Csr<const float> ratings;           // (R, C) ratings; columns are rows of `fixed`
  float mean = 0;                     // global mean, subtracted from every rating
  Rows<const float> fixed;            // (C, f) y
  const float* fixed_bias = nullptr;  // (C) g, or null without biases
  Rows<float> solved;                 // (R, f) x, overwritten
  float* solved_bias = nullptr;       // (R) b, overwritten; null if fixed_bias is null
  AlsParams params;
};

// Solves every row of `solved` and its bias for given `fixed`:
//
//   minimize over x_r, b_r:   sum over rated c of (rating_rc - mean - b_r - g_c - <x_r, y_c>)^2
//                             + lambda n_r^p |x_r|^2 + beta n_r^p b_r^2,     n_r = number of the row's ratings
//
// Uses a Cholesky factorization in fp32 of the normal equations, or of their dual for rows with fewer ratings than
// factors (same solution, one equation per rating). Rows without ratings become 0. If the equations are singular
// (lambda = 0 with fewer ratings than unknowns or with dependent columns of y), lambda and beta are increased by the
// smallest of 1e-6, 1e-5, ... times the mean diagonal entry that makes them solvable; the result is close to the
// minimum-norm solution. Rows that depend on non-finite values become NaN.
//
// Needs about f^2 / 2 + 140 f floats of scratch memory per thread on the CPU. On a GPU, scratch memory does not depend
// on C and hardly on R: up to 0.5 GiB for f <= 256 and 1.3 GiB beyond, unless a single block needs more. Results are
// bitwise reproducible, independent of the number of threads, and a row's result does not depend on the other rows.
// Throws std::invalid_argument if f or the number of rows differ, f < 1, a regularization is
// negative, the power is outside 0 to 1, or only one bias is given.
void als_update(Context& context, const AlsTask& task);

}  // namespace sartor::cuda
