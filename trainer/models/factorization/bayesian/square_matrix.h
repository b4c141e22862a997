// Small dense matrices in double precision, for the parameters of priors.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace sartor {

// Row-major. Of a triangular one, only the triangle is read.
struct SquareMatrix {
  int64_t size = 0;
  std::vector<double> values;

  explicit SquareMatrix(int64_t n = 0) : size(n), values(n * n) {}
  double& operator()(int64_t row, int64_t column) { return values[row * size + column]; }
  double operator()(int64_t row, int64_t column) const { return values[row * size + column]; }
  std::span<const double> row(int64_t index) const { return std::span(values).subspan(index * size, size); }
};

// The lower triangle L of A = L L^T, with zeros above. Not finite if A is not positive definite.
inline SquareMatrix cholesky(const SquareMatrix& a) {
  SquareMatrix lower(a.size);
  for (int64_t i = 0; i < a.size; i++) {
    for (int64_t j = 0; j <= i; j++) {
      double rest = a(i, j);
      for (int64_t k = 0; k < j; k++) rest -= lower(i, k) * lower(j, k);
      lower(i, j) = i == j ? std::sqrt(rest) : rest / lower(j, j);
    }
  }
  return lower;
}

// x = L^-1 x
inline void solve_lower(const SquareMatrix& lower, std::span<double> x) {
  for (int64_t i = 0; i < lower.size; i++) {
    for (int64_t k = 0; k < i; k++) x[i] -= lower(i, k) * x[k];
    x[i] /= lower(i, i);
  }
}

// x = L^-T x
inline void solve_upper(const SquareMatrix& lower, std::span<double> x) {
  for (int64_t i = lower.size - 1; i >= 0; i--) {
    x[i] /= lower(i, i);
    for (int64_t k = 0; k < i; k++) x[k] -= lower(i, k) * x[i];
  }
}

}  // namespace sartor
