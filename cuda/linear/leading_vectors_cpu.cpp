#include "linear/leading_vectors_cpu.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "core/cpu_backend.h"
#include "core/device_buffer.h"
#include "core/parallel_for.h"
#include "factorization/implicit/implicit.h"
#include "linear/symmetric_eigen.h"
#include "sparse/filters/sparse_product.h"
#include "transformer/matmul.h"

namespace sartor::cuda {
namespace {

// product (n, k) = rows (n, m) factors (m, k)
void multiply(Context& context, Rows<const float> rows, const std::vector<float>& factors, Rows<float> product) {
  const int threads = cpu(context).threads;
  const MatmulTask task = {.rows = rows.rows,
                           .columns = product.columns,
                           .depth = rows.columns,
                           .left = {rows.data, rows.columns, 1, Store::fp32},
                           .right = {factors.data(), product.columns, 1, Store::fp32},
                           .c = product.data,
                           .c_stride = product.columns,
                           .c_store = Store::fp32,
                           .products = Store::fp32};
  matmul(task, threads, context.scratch(matmul_scratch(task, threads)));
}

// Y^T Y
std::vector<double> gram_of(Context& context, Rows<const float> rows) {
  const int64_t m = rows.columns;
  std::vector<float> upper(m * m);
  gram(context, {rows, 0, m, upper.data()});
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

void fill_random(Context& context, int64_t seed, DeviceBuffer<float>& to) {
  parallel_for(cpu(context).threads, to.size(), 1 << 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t at = begin; at < end; at++) to.data()[at] = static_cast<float>(random_normal(seed, at));
  });
}

// The coefficients of the vectors within the subspace, from the eigenproblem of (A Q)^T A Q, and their singular values.
std::vector<float> ritz(const std::vector<double>& projected, int64_t m, int64_t k, float* values) {
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

}  // namespace

void leading_vectors_cpu(Context& context, const LeadingVectorsTask& task) {
  const int64_t rows = task.matrix.rows, columns = task.vectors.rows, k = task.vectors.columns;
  const int64_t m = std::min(k + task.oversampling, columns);
  DeviceBuffer<float> q(context, columns * m), other(context, columns * m), image(context, rows * m);
  const Rows<float> basis = {q.data(), columns, m}, product = {other.data(), columns, m},
                    of_rows = {image.data(), rows, m};
  fill_random(context, task.seed, q);
  for (int64_t iteration = 0; iteration < task.iterations; iteration++) {
    sparse_product(context, {task.matrix, basis, of_rows});
    sparse_product(context, {task.transposed, of_rows, product});
    multiply(context, product, orthonormalizer(gram_of(context, product), m), basis);
  }
  sparse_product(context, {task.matrix, basis, of_rows});
  multiply(context, basis, ritz(gram_of(context, of_rows), m, k, task.values), task.vectors);
  fix_signs(task.vectors);
}

}  // namespace sartor::cuda
