// Reference implementation of stochastic gradient descent in double precision.
#pragma once

#include <cmath>
#include <vector>

#include "factorization/sgd/sgd.h"
#include "support/random.h"

namespace sartor {

// Users or items. Columns as in cuda::SgdSide.
struct NaiveSide {
  int64_t rows, columns;
  std::vector<double> values;
  std::vector<float> weights;
  std::vector<double> squares;

  double* row(int64_t index) { return values.data() + index * columns; }
};

// The constants rho and lambda of a column. bias: the side's column with biases.
inline std::pair<double, double> constants(const cuda::SgdParams& params, int64_t bias, int64_t column) {
  if (column >= 2) return {1, params.regularization};
  if (column != bias) return {0, 0};
  return {params.bias_learning_rate / params.learning_rate, params.bias_regularization};
}

inline double dot(const double* x, const double* y, int64_t columns) {
  double sum = 0;
  for (int64_t c = 0; c < columns; c++) sum += x[c] * y[c];
  return sum;
}

// Updates a row for the gradient `pull` of the prediction, which is multiplied by the error.
inline void descend(NaiveSide& side, int64_t index, const std::vector<double>& pull, double error, int64_t bias,
                    int64_t factors, bool adagrad, const cuda::SgdParams& params) {
  const double eta = params.learning_rate / (adagrad ? std::sqrt(1 + side.squares[index]) : 1);
  double* x = side.row(index);
  for (int64_t c = 0; c < side.columns; c++) {
    const auto [rate, lambda] = constants(params, bias, c);
    const double gradient = rate * (error * pull[c] - side.weights[index] * lambda * x[c]);
    x[c] += eta * gradient;
    if (adagrad) side.squares[index] += gradient * gradient / factors;
  }
}

// Trains on one rating and returns the squared error before it.
inline double naive_step(NaiveSide& users, NaiveSide& items, const cuda::SgdRating& rating, int64_t factors,
                         bool adagrad, const cuda::SgdParams& params) {
  const int64_t columns = users.columns;
  const std::vector<double> x(users.row(rating.user), users.row(rating.user) + columns);
  const std::vector<double> y(items.row(rating.item), items.row(rating.item) + columns);
  const double error = rating.value - dot(x.data(), y.data(), columns);
  descend(users, rating.user, y, error, 0, factors, adagrad, params);
  descend(items, rating.item, x, error, 1, factors, adagrad, params);
  return error * error;
}

// Rows of random factors. `one` is the column with a 1, or -1 for rows without biases.
inline NaiveSide random_side(int64_t rows, int64_t factors, int64_t one, uint64_t seed) {
  const int64_t columns = cuda::sgd_columns(factors);
  NaiveSide side = {rows, columns, std::vector<double>(rows * columns), {}, std::vector<double>(rows)};
  const auto random = normals(rows * (factors + 2), seed);
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t f = 0; f < factors; f++) {
      side.row(row)[2 + f] = random[row * (factors + 2) + f] / std::sqrt(2.0 * static_cast<double>(factors));
    }
    if (one >= 0) side.row(row)[one] = 1;
    if (one >= 0) side.row(row)[1 - one] = 0.1f * random[row * (factors + 2) + factors];
    side.weights.push_back(0.5f + 0.1f * static_cast<float>(row % 5));
    for (int64_t c = 0; c < columns; c++) side.row(row)[c] = static_cast<float>(side.row(row)[c]);
  }
  return side;
}

inline std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

}  // namespace sartor
