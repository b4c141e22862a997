// Equations of sgd_rounds, the same on every device. Always inlined, so that the linker cannot merge copies of
// different builds.
#pragma once

#include "factorization/sgd/sgd.h"

namespace sartor::cuda {

// Constants of a column: rho and lambda.
struct SgdColumn {
  float rate, regularization;
};

// bias: the side's column with biases, 0 for users and 1 for items.
[[gnu::always_inline]] constexpr SgdColumn sgd_column(const SgdParams& params, int64_t bias, int64_t column) {
  if (column >= sgd_bias_columns) return {1, params.regularization};
  if (column != bias) return {0, 0};
  return {params.bias_learning_rate / params.learning_rate, params.bias_regularization};
}

// g without rho. decay: w lambda. T: float, or a vector of them.
template <class T> [[gnu::always_inline]] constexpr T sgd_gradient(T error, T other, T decay, T own) {
  return error * other - decay * own;
}

}  // namespace sartor::cuda
