// Bayesian matrix factorization: draws rows of factors from their distribution given everything else, the step of a
// Gibbs sampler (Salakhutdinov and Mnih 2008).
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of draw_posterior. All arrays are in the context's memory.
struct PosteriorTask {
  Csr<const float> ratings;  // (R, C); columns are rows of `fixed`
  float mean = 0;            // global mean, subtracted from every rating
  float noise_precision = 1;
  bool biases = true;           // the last of the F numbers of a row is its bias, otherwise a factor like the others
  Rows<const float> fixed;      // (C, F)
  Rows<const float> precision;  // (F, F) precision of the prior, symmetric
  Rows<const float> pull;       // (R, F) precision times the mean of each row's prior, or (1, F) if all have the same
  bool draw = true;             // false: the means of the posterior instead of a draw from it
  uint64_t seed = 0;            // of the draw
  int64_t first_row = 0;        // the random numbers of row r depend on seed and first_row + r
  Rows<float> solved;           // (R, F), overwritten
  double* errors = nullptr;     // (R) sums of the squared residuals of each row's ratings, for its new numbers, or null
};

// With y_c = fixed row c, whose last number is replaced by 1 if there are biases, and g_c that number (0 without
// biases), every row of `solved` is drawn from the posterior of
//
//   rating_rc ~ N(mean + g_c + <x_r, y_c>, 1 / noise_precision),   x_r ~ N(prior mean of r, precision^-1)
//
// which is normal with precision A = precision + noise_precision sum y y^T and mean A^-1 (pull + noise_precision sum
// (rating - mean - g) y). Computed by a Cholesky factorization A = U^T U in fp32, as U^-1 (U^-T b + standard normal
// numbers). Rows without ratings are drawn from their prior. If A is numerically singular, its diagonal is increased as
// in als_update; rows that depend on non-finite values become NaN.
//
// A row's result depends neither on the other rows nor on the number of threads. A GPU uses the same random numbers, up
// to rounding, takes up to 8,192 columns, and needs scratch memory for a copy of `fixed`. Throws std::invalid_argument
// if shapes do not fit or noise_precision is not positive.
void draw_posterior(Context& context, const PosteriorTask& task);

// Arguments of row_moments, in the context's memory.
struct MomentsTask {
  Rows<const float> rows;      // (R, F)
  double* sum = nullptr;       // (F), overwritten
  double* products = nullptr;  // (F, F) sum of x x^T, overwritten
};

// Sums of rows and of their outer products in double precision, in an order that does not depend on the number of
// threads.
void row_moments(Context& context, const MomentsTask& task);

}  // namespace sartor::cuda
