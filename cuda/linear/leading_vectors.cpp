#include "linear/leading_vectors.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "base/require.h"
#include "core/cpu_backend.h"
#include "core/device_buffer.h"
#include "core/parallel_for.h"
#include "core/processors.h"
#include "core/profiler_range.h"
#include "factorization/implicit/implicit.h"
#include "linear/add_product.h"
#include "linear/symmetric_eigen.h"
#include "sparse/filters/sparse_product.h"

namespace sartor::cuda {
namespace {

// Calls change(rows) for rows in the context's memory, or for a copy on the host that is written back.
template <class Change> void on_host(Context& context, Rows<float> rows, const Change& change) {
  if (!context.is_gpu()) return change(rows);
  std::vector<float> copy(rows.rows * rows.columns);
  const size_t bytes = copy.size() * sizeof(float);
  context.backend().copy_out(copy.data(), rows.data, bytes);
  change({copy.data(), rows.rows, rows.columns});
  context.backend().copy_in(rows.data, copy.data(), bytes);
}

// product (n, k) = rows (n, m) factors (m, k)
void multiply(Context& context, Rows<const float> rows, const std::vector<float>& factors, Rows<float> product) {
  const DeviceBuffer<float> right(context, factors);
  context.backend().fill_zero(product.data, product.rows * product.columns * sizeof(float));
  add_product(
      context,
      {.left = rows, .right = {right.data(), rows.columns, product.columns}, .sum = product, .right_transposed = true});
}

// Y^T Y
std::vector<double> gram_of(Context& context, Rows<const float> rows) {
  const int64_t m = rows.columns;
  DeviceBuffer<float> sums(context, m * m);
  gram(context, {rows, 0, m, sums.data()});
  const auto upper = sums.to_host();
  std::vector<double> full(m * m);
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = i; j < m; j++) full[i * m + j] = full[j * m + i] = upper[i * m + j];
  }
  return full;
}

// W with W^T G W = 1 for G = L L^T: W = L^-T. Columns of W that belong to numerically dependent columns are 0.
std::vector<float> orthonormalizer(const std::vector<double>& gram, int64_t m) {
  constexpr double rounding = 1e-6;  // of an fp32 Gram matrix, relative to its diagonal
  std::vector<double> l(m * m), inverse(m * m);
  for (int64_t j = 0; j < m; j++) {
    double pivot = gram[j * m + j];
    for (int64_t k = 0; k < j; k++) pivot -= l[j * m + k] * l[j * m + k];
    if (pivot <= rounding * gram[j * m + j]) continue;
    l[j * m + j] = std::sqrt(pivot);
    for (int64_t i = j + 1; i < m; i++) {
      double sum = gram[i * m + j];
      for (int64_t k = 0; k < j; k++) sum -= l[i * m + k] * l[j * m + k];
      l[i * m + j] = sum / l[j * m + j];
    }
  }
  for (int64_t i = 0; i < m; i++) {  // rows of L^-1
    if (l[i * m + i] == 0) continue;
    for (int64_t k = 0; k < i; k++) {
      for (int64_t j = 0; j <= k; j++) inverse[i * m + j] -= l[i * m + k] * inverse[k * m + j];
    }
    inverse[i * m + i] = 1;
    for (int64_t j = 0; j <= i; j++) inverse[i * m + j] /= l[i * m + i];
  }
  std::vector<float> transposed(m * m);
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j <= i; j++) transposed[j * m + i] = static_cast<float>(inverse[i * m + j]);
  }
  return transposed;
}

void fill_random(Context& context, int64_t seed, Rows<float> rows) {
  const int threads = context.is_gpu() ? available_threads() : cpu(context).threads;
  on_host(context, rows, [&](Rows<float> to) {
    parallel_for(threads, to.rows * to.columns, 1 << 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t at = begin; at < end; at++) to.data[at] = static_cast<float>(random_normal(seed, at));
    });
  });
}

// The coefficients of the vectors within the subspace, from the eigenproblem of (A Q)^T A Q, and their singular values.
std::vector<float> ritz(const std::vector<double>& projected, int64_t m, std::vector<float>& values) {
  const auto k = std::ssize(values);
  const SymmetricEigen eigen = symmetric_eigen(projected, m);
  std::vector<float> factors(m * k);
  for (int64_t j = 0; j < k; j++) {
    const bool present = j < m && eigen.values[j] > 1e-6 * std::max(eigen.values[0], 0.0);
    values[j] = present ? static_cast<float>(std::sqrt(eigen.values[j])) : 0;
    for (int64_t i = 0; i < m && present; i++) factors[i * k + j] = static_cast<float>(eigen.vectors[i * m + j]);
  }
  return factors;
}

void fix_signs(Rows<float> vectors) {
  for (int64_t j = 0; j < vectors.columns; j++) {
    float largest = 0;
    for (int64_t i = 0; i < vectors.rows; i++) {
      const float x = vectors.row(i)[j];
      if (std::abs(x) > std::abs(largest)) largest = x;
    }
    for (int64_t i = 0; i < vectors.rows && largest < 0; i++) vectors.row(i)[j] = -vectors.row(i)[j];
  }
}

void check(const LeadingVectorsTask& task) {
  const auto& vectors = task.vectors;
  require(task.transposed.rows == vectors.rows, "leading_vectors: transposed has {} rows, vectors {}",
          task.transposed.rows, vectors.rows);
  require(1 <= vectors.columns && vectors.columns <= vectors.rows, "leading_vectors: {} vectors, expected 1 to {}",
          vectors.columns, vectors.rows);
  require(task.oversampling >= 0, "leading_vectors: oversampling is {}, expected 0 or more", task.oversampling);
  require(task.iterations >= 1, "leading_vectors: iterations is {}, expected 1 or more", task.iterations);
}

}  // namespace

void leading_vectors(Context& context, const LeadingVectorsTask& task) {
  check(task);
  const ProfilerRange range("leading_vectors");
  const int64_t rows = task.matrix.rows, columns = task.vectors.rows, k = task.vectors.columns;
  const int64_t m = std::min(k + task.oversampling, columns);
  const DeviceBuffer<float> q(context, columns * m), other(context, columns * m), image(context, rows * m);
  const Rows<float> basis = {q.data(), columns, m}, product = {other.data(), columns, m},
                    of_rows = {image.data(), rows, m};
  fill_random(context, task.seed, basis);
  for (int64_t iteration = 0; iteration < task.iterations; iteration++) {
    sparse_product(context, {task.matrix, basis, of_rows});
    sparse_product(context, {task.transposed, of_rows, product});
    multiply(context, product, orthonormalizer(gram_of(context, product), m), basis);
  }
  sparse_product(context, {task.matrix, basis, of_rows});
  std::vector<float> values(k);
  multiply(context, basis, ritz(gram_of(context, of_rows), m, values), task.vectors);
  context.backend().copy_in(task.values, values.data(), values.size() * sizeof(float));
  on_host(context, task.vectors, fix_signs);
}

}  // namespace sartor::cuda
