// Runs implicit_update on a context, and compares with the double loops of naive_implicit.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "support/backends.h"
#include "support/naive_implicit.h"

namespace sartor::cuda {

inline std::vector<float> gram_of(Context& context, const Matrix& rows, int64_t step = 1 << 30) {
  const DeviceRows device(context, rows);
  const auto gram = upload(context, std::vector<float>(rows.columns * rows.columns, NAN));
  for (int64_t first = 0; first < rows.columns; first += step) {
    cuda::gram(context, {device.view(), first, std::min(rows.columns, first + step), gram.data()});
  }
  return gram.to_host();
}

inline std::vector<float> run(Context& context, const AlsProblem& problem, const ImplicitParams& params,
                              const std::vector<float>& start) {
  const auto offsets = upload(context, problem.offsets);
  const auto columns = upload(context, problem.columns);
  const auto values = upload(context, problem.values);
  const DeviceRows fixed(context, problem.fixed);
  const auto gram = upload(context, gram_of(context, problem.fixed)), solved = upload(context, start);
  implicit_update(context, {.entries = {problem.rows(), offsets.data(), columns.data(), values.data()},
                            .fixed = fixed.view(),
                            .gram = gram.data(),
                            .solved = {solved.data(), problem.rows(), problem.fixed.columns},
                            .params = params});
  return solved.to_host();
}

inline std::vector<float> start_of(const AlsProblem& problem) {
  auto start = normals(problem.rows() * problem.fixed.columns, 99);
  for (float& value : start) value *= 0.1f;
  return start;
}

// One row per size, with counts from 1 to 4 of random columns and features of about length 1.
inline AlsProblem problem_with(const std::vector<int64_t>& sizes, int64_t factors, uint64_t seed) {
  const int64_t columns = std::max<int64_t>(20, *std::max_element(sizes.begin(), sizes.end()));
  AlsProblem problem;
  problem.fixed = normal_rows(columns, factors, seed);
  for (float& value : problem.fixed.values) value /= std::sqrt(static_cast<float>(factors));
  for (const int64_t size : sizes) {
    auto chosen = permutation(columns, seed + 2 + size);
    chosen.resize(size);
    std::sort(chosen.begin(), chosen.end());
    std::vector<float> counts;
    for (const int32_t column : chosen) counts.push_back(static_cast<float>(1 + (column * 7 + size) % 4));
    problem.add_row(chosen, counts);
  }
  return problem;
}

// Tolerance relative to the largest factor of the row.
inline void expect_naive(const std::vector<float>& found, const AlsProblem& problem, const ImplicitParams& params,
                         const std::vector<float>& start, double relative) {
  const int64_t f = problem.fixed.columns;
  for (int64_t row = 0; row < problem.rows(); row++) {
    const auto x = naive_implicit_row(problem, row, params, {start.begin() + row * f, start.begin() + (row + 1) * f});
    double most = 0;
    for (const double value : x) most = std::max(most, std::abs(value));
    for (int64_t i = 0; i < f; i++) {
      ASSERT_NEAR(found[row * f + i], x[i], relative * most) << "row " << row << ", factor " << i;
    }
  }
}

}  // namespace sartor::cuda
