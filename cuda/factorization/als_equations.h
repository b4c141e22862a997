// What the normal equations of als_update have in common on the CPU and on GPUs. See als.h for the model and
// als_isa.cpp for the derivation. Always inlined, so that the linker cannot merge copies of different builds.
#pragma once

#include <cstdint>

#include "factorization/als.h"
#include "factorization/pivots.h"

namespace sartor::cuda {

namespace als {

[[gnu::always_inline]] constexpr int64_t groups(int64_t count, int64_t width) { return (count + width - 1) / width; }

}  // namespace als

// The system of a row with n >= 1 ratings.
struct AlsEquations {
  int64_t ratings, factors;  // n, f
  float lambda, beta;        // regularization of the factors and of the bias, times n^p
  bool biased;
  bool dual;

  [[gnu::always_inline]] constexpr int64_t size() const { return dual ? ratings : factors; }
  // Without regularization, the dual system is solved only with a shift, and thus gives the minimum-norm solution.
  [[gnu::always_inline]] constexpr bool needs_shift() const { return dual && lambda == 0; }
};

// The dual system is used if it has fewer groups of `width` equations, and where the primal one would be singular
// because lambda is 0 and there are fewer ratings than unknowns.
[[gnu::always_inline]] constexpr AlsEquations als_equations(const AlsTask& task, int64_t ratings, int64_t width) {
  const float weight = pivots::power(static_cast<float>(ratings), task.params.regularization_power);
  const int64_t f = task.fixed.columns;
  const float lambda = task.params.regularization * weight;
  const bool biased = task.solved_bias != nullptr;
  const bool dual = als::groups(ratings, width) < als::groups(f, width) || (lambda == 0 && ratings < f + biased);
  return {ratings, f, lambda, task.params.bias_regularization * weight, biased, dual};
}

// Computes the bias by eliminating it from the bordered system: lz = l.z, ll = l.l, total = sum of the residuals
// (ignored by the dual system). Returns false if the bordered system is numerically singular.
[[gnu::always_inline]] constexpr bool als_bias(const AlsEquations& row, float shift, float lz, float ll, float total,
                                               float& bias) {
  const float lambda = row.lambda + shift, beta = row.beta + shift, ratings = static_cast<float>(row.ratings);
  const float pivot = row.dual ? ll + beta / lambda : ratings + beta - ll;
  bias = (row.dual ? lz : total - lz) / pivot;
  return pivot > pivots::rounding * (row.dual ? 0 : ratings + beta);
}

// Mean diagonal entry of the system, by which shifts are scaled. 1 if all features are (almost) zero or not a number.
[[gnu::always_inline]] constexpr float als_mean_diagonal(const AlsEquations& row, float trace) {
  return trace > 1e-30f ? trace / static_cast<float>(row.size()) : 1;
}

}  // namespace sartor::cuda
