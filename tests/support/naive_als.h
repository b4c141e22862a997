// Reference implementation of explicit alternating least squares: double loops in double precision.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "factorization/als.h"
#include "support/random.h"

namespace sartor {

// One half-epoch: ratings by row, and the factors that are held fixed. Without fixed_bias the model has no biases.
struct AlsProblem {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> columns;
  std::vector<float> values;
  float mean = 0;
  Matrix fixed;
  std::vector<float> fixed_bias;

  int64_t rows() const { return std::ssize(offsets) - 1; }
  bool biased() const { return !fixed_bias.empty(); }
  int64_t unknowns() const { return fixed.columns + biased(); }
  int64_t count(int64_t row) const { return offsets[row + 1] - offsets[row]; }
  double feature(int64_t rating, int64_t i) const { return i < fixed.columns ? fixed.row(columns[rating])[i] : 1; }
  double target(int64_t rating) const { return values[rating] - mean - (biased() ? fixed_bias[columns[rating]] : 0); }

  void add_row(std::span<const int32_t> rated, std::span<const float> ratings) {
    columns.insert(columns.end(), rated.begin(), rated.end());
    values.insert(values.end(), ratings.begin(), ratings.end());
    offsets.push_back(std::ssize(columns));
  }
};

// Regularization of unknown i of a row; the bias is the last unknown.
inline double als_penalty(const AlsProblem& problem, int64_t row, int64_t i, const cuda::AlsParams& params) {
  return std::pow(problem.count(row), params.regularization_power) *
         (i < problem.fixed.columns ? params.regularization : params.bias_regularization);
}

// Loss of a row at x = (factors, bias).
inline double als_loss(const AlsProblem& problem, int64_t row, std::span<const double> x,
                       const cuda::AlsParams& params) {
  double loss = 0;
  for (int64_t k = problem.offsets[row]; k < problem.offsets[row + 1]; k++) {
    double error = problem.target(k);
    for (int64_t i = 0; i < std::ssize(x); i++) error -= x[i] * problem.feature(k, i);
    loss += error * error;
  }
  for (int64_t i = 0; i < std::ssize(x); i++) loss += als_penalty(problem, row, i, params) * x[i] * x[i];
  return loss;
}

// Solves A x = b by Gaussian elimination without pivoting. a (m, m) is overwritten, b by x.
inline void eliminate(std::span<double> a, std::span<double> b) {
  const auto m = std::ssize(b);
  for (int64_t k = 0; k < m; k++) {
    for (int64_t i = k + 1; i < m; i++) {
      const double factor = a[i * m + k] / a[k * m + k];
      for (int64_t j = k; j < m; j++) a[i * m + j] -= factor * a[k * m + j];
      b[i] -= factor * b[k];
    }
  }
  for (int64_t i = m - 1; i >= 0; i--) {
    for (int64_t j = i + 1; j < m; j++) b[i] -= a[i * m + j] * b[j];
    b[i] /= a[i * m + i];
  }
}

// Solves the row's normal equations (bias last) by Gaussian elimination. `shift` is added to the diagonal.
inline std::vector<double> naive_als_row(const AlsProblem& problem, int64_t row, const cuda::AlsParams& params,
                                         double shift = 0) {
  const int64_t m = problem.unknowns();
  std::vector<double> x(m);
  if (problem.count(row) == 0) return x;
  std::vector<double> a(m * m);
  for (int64_t k = problem.offsets[row]; k < problem.offsets[row + 1]; k++) {
    for (int64_t i = 0; i < m; i++) {
      x[i] += problem.feature(k, i) * problem.target(k);
      for (int64_t j = 0; j < m; j++) a[i * m + j] += problem.feature(k, i) * problem.feature(k, j);
    }
  }
  for (int64_t i = 0; i < m; i++) a[i * m + i] += als_penalty(problem, row, i, params) + shift;
  eliminate(a, x);
  return x;
}

}  // namespace sartor
