// Problems of als_update, its solutions on any backend, and those of the double loops of naive_als.h.
#pragma once

#include <algorithm>

#include "core/views.h"
#include "support/backends.h"
#include "support/naive_als.h"

namespace sartor::cuda {

// Factors of a row, followed by its bias if there is one.
using Solution = std::vector<std::vector<double>>;

inline Solution run_als(Context& context, const AlsProblem& problem, const AlsParams& params) {
  const auto offsets = upload(context, problem.offsets);
  const auto columns = upload(context, problem.columns);
  const auto values = upload(context, problem.values);
  const DeviceRows fixed(context, problem.fixed);
  const auto fixed_bias = upload(context, problem.fixed_bias);
  const int64_t rows = problem.rows(), f = problem.fixed.columns;
  const auto factors = upload(context, std::vector<float>(rows * f, NAN));
  const auto bias = upload(context, std::vector<float>(problem.biased() ? rows : 0, NAN));
  als_update(context, {.ratings = {rows, offsets.data(), columns.data(), values.data()},
                       .mean = problem.mean,
                       .fixed = fixed.view(),
                       .fixed_bias = fixed_bias.data(),
                       .solved = {factors.data(), rows, f},
                       .solved_bias = bias.data(),
                       .params = params});
  const auto x = factors.to_host(), b = bias.to_host();
  Solution solution;
  for (int64_t row = 0; row < rows; row++) {
    solution.emplace_back(x.begin() + row * f, x.begin() + (row + 1) * f);
    if (problem.biased()) solution.back().push_back(b[row]);
  }
  return solution;
}

// One row per size, with normal ratings around the mean 3.5 of random columns and features of length 1.
inline AlsProblem problem_with(const std::vector<int64_t>& sizes, int64_t factors, bool biased, uint64_t seed) {
  const int64_t columns = std::max<int64_t>(1, *std::max_element(sizes.begin(), sizes.end()) * 5 / 4);
  AlsProblem problem;
  problem.mean = 3.5;
  problem.fixed = normal_rows(columns, factors, seed);
  for (float& value : problem.fixed.values) value /= std::sqrt(factors);
  if (biased) problem.fixed_bias = normals(columns, seed + 1);
  for (const int64_t size : sizes) {
    auto rated = permutation(columns, seed + 2 + size);
    rated.resize(size);
    std::sort(rated.begin(), rated.end());
    auto ratings = normals(size, seed + 3 + size);
    for (float& rating : ratings) rating += problem.mean;
    problem.add_row(rated, ratings);
  }
  return problem;
}

inline double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

// Relative to the largest unknown of the row: rounding errors of 6e-8 times the condition number, which regularization
// bounds.
inline void expect_near(const Solution& found, const Solution& expected, double relative) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t row = 0; row < found.size(); row++) {
    for (size_t i = 0; i < found[row].size(); i++) {
      ASSERT_NEAR(found[row][i], expected[row][i], relative * largest(expected[row]))
          << "row " << row << ", unknown " << i;
    }
  }
}

inline Solution naive_als(const AlsProblem& problem, const AlsParams& params, double shift = 0) {
  Solution solution;
  for (int64_t row = 0; row < problem.rows(); row++) solution.push_back(naive_als_row(problem, row, params, shift));
  return solution;
}

}  // namespace sartor::cuda
