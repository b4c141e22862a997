// Reference implementation of implicit alternating least squares: double loops in double precision.
#pragma once

#include <cmath>
#include <vector>

#include "factorization/implicit/implicit.h"
#include "support/naive_als.h"

namespace sartor {

// The system of one row: (a0 G + sum q y y^T + lambda_r I) x = sum b y. `problem` has no mean and no biases.
struct ImplicitSystem {
  int64_t factors;
  std::vector<double> matrix, target;

  ImplicitSystem(const AlsProblem& problem, int64_t row, const cuda::ImplicitParams& params)
      : factors(problem.fixed.columns), matrix(factors * factors), target(factors) {
    const bool hu_koren = params.objective == cuda::ImplicitObjective::hu_koren;
    const int64_t columns = problem.fixed.rows;
    for (int64_t column = 0; column < columns; column++) add(problem.fixed.row(column), params.unobserved_weight, 0);
    for (int64_t k = problem.offsets[row]; k < problem.offsets[row + 1]; k++) {
      const double weight = double(params.alpha) * problem.values[k];
      add(problem.fixed.row(problem.columns[k]), weight, hu_koren ? 1 + weight : weight);
    }
    const double lambda =
        params.regularization *
        std::pow(problem.count(row) + double(params.unobserved_weight) * columns, double(params.regularization_power));
    for (int64_t i = 0; i < factors; i++) matrix[i * factors + i] += lambda;
  }

  // A x - b
  std::vector<double> gradient(const std::vector<double>& x) const {
    std::vector<double> slope(factors);
    for (int64_t i = 0; i < factors; i++) {
      slope[i] = -target[i];
      for (int64_t j = 0; j < factors; j++) slope[i] += matrix[i * factors + j] * x[j];
    }
    return slope;
  }

  // Solves factors first to first + size - 1 for the others given, by Gaussian elimination.
  void solve(int64_t first, int64_t size, std::vector<double>& x) const {
    std::vector<double> rest = gradient(x), a(size * size);
    for (int64_t i = 0; i < size; i++) {
      for (int64_t j = 0; j < size; j++) a[i * size + j] = matrix[(first + i) * factors + first + j];
    }
    const auto change = std::span(rest).subspan(first, size);
    eliminate(a, change);
    for (int64_t i = 0; i < size; i++) x[first + i] -= change[i];
  }

  // Conjugate gradients.
  void descend(int64_t steps, std::vector<double>& x) const {
    const auto dot = [](const auto& a, const auto& b) {
      double sum = 0;
      for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
      return sum;
    };
    std::vector<double> rest = gradient(x), direction(factors), product(factors);
    for (int64_t i = 0; i < factors; i++) direction[i] = -rest[i];
    for (int64_t step = 0; step < steps && dot(rest, rest) > 0; step++) {
      const double squares = dot(rest, rest);
      for (int64_t i = 0; i < factors; i++) {
        product[i] = 0;
        for (int64_t j = 0; j < factors; j++) product[i] += matrix[i * factors + j] * direction[j];
      }
      const double length = squares / dot(direction, product);
      for (int64_t i = 0; i < factors; i++) {
        x[i] += length * direction[i];
        rest[i] += length * product[i];
      }
      for (int64_t i = 0; i < factors; i++) direction[i] = dot(rest, rest) / squares * direction[i] - rest[i];
    }
  }

 private:
  void add(const float* y, double square, double linear) {
    for (int64_t i = 0; i < factors; i++) {
      target[i] += linear * y[i];
      for (int64_t j = 0; j < factors; j++) matrix[i * factors + j] += square * y[i] * y[j];
    }
  }
};

// implicit_update of one row that is x before.
inline std::vector<double> naive_implicit_row(const AlsProblem& problem, int64_t row,
                                              const cuda::ImplicitParams& params, std::vector<double> x) {
  const int64_t factors = problem.fixed.columns;
  if (problem.count(row) == 0) return std::vector<double>(factors);
  const ImplicitSystem system(problem, row, params);
  if (params.solver == cuda::ImplicitSolver::cg) {
    system.descend(params.cg_steps, x);
  } else {
    const int64_t block = params.solver == cuda::ImplicitSolver::block ? params.block : factors;
    for (int64_t first = 0; first < factors; first += block) {
      system.solve(first, std::min(block, factors - first), x);
    }
  }
  return x;
}

}  // namespace sartor
