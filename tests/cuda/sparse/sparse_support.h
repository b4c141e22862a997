// Sparse matrices for tests of products and filters.
#pragma once

#include <cmath>
#include <vector>

#include "core/device_buffer.h"
#include "core/views.h"
#include "sparse/filters/positive_entries.h"
#include "support/random.h"

namespace sartor::cuda {

struct Sparse {
  int64_t width;
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> columns;
  std::vector<float> values;

  int64_t rows() const { return std::ssize(offsets) - 1; }
  Csr<const float> view() const { return {rows(), offsets.data(), columns.data(), values.data()}; }
  std::vector<double> dense() const {
    std::vector<double> all(rows() * width);
    for (int64_t row = 0; row < rows(); row++) {
      for (int64_t at = offsets[row]; at < offsets[row + 1]; at++) all[row * width + columns[at]] = values[at];
    }
    return all;
  }
};

// About a third of the elements; every seventh row is empty.
inline Sparse random_sparse(int64_t rows, int64_t width, uint64_t seed) {
  const auto values = normals(rows * width, seed);
  Sparse matrix = {width, {0}, {}, {}};
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t column = 0; column < width && row % 7 != 6; column++) {
      const float value = values[row * width + column];
      if (std::abs(value) < 1) continue;
      matrix.columns.push_back(int32_t(column));
      matrix.values.push_back(value / std::sqrt(float(rows + width)));
    }
    matrix.offsets.push_back(std::ssize(matrix.values));
  }
  return matrix;
}

inline Sparse transposed(const Sparse& matrix) {
  const auto dense = matrix.dense();
  Sparse result = {matrix.rows(), {0}, {}, {}};
  for (int64_t column = 0; column < matrix.width; column++) {
    for (int64_t row = 0; row < matrix.rows(); row++) {
      if (dense[row * matrix.width + column] == 0) continue;
      result.columns.push_back(int32_t(row));
      result.values.push_back(float(dense[row * matrix.width + column]));
    }
    result.offsets.push_back(std::ssize(result.values));
  }
  return result;
}

// (n, m) = (n, d) (d, m)
inline std::vector<double> product_of(const std::vector<double>& a, const std::vector<double>& b, int64_t n, int64_t d,
                                      int64_t m) {
  std::vector<double> c(n * m);
  for (int64_t i = 0; i < n; i++) {
    for (int64_t k = 0; k < d; k++) {
      for (int64_t j = 0; j < m; j++) c[i * m + j] += a[i * d + k] * b[k * m + j];
    }
  }
  return c;
}

// What count_positive and take_positive find in a dense matrix of the host.
struct Positive {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> columns;
  std::vector<float> values;
};
inline Positive positive_of(Context context, Rows<const float> dense) {
  const DeviceBuffer<float> rows(context, std::span(dense.data, dense.rows * dense.columns));
  const DeviceBuffer<int64_t> counts(context, dense.rows);
  const Rows<const float> on_device = {rows.data(), dense.rows, dense.columns};
  count_positive(context, {on_device, counts.data()});
  Positive found;
  for (const int64_t count : counts.to_host()) found.offsets.push_back(found.offsets.back() + count);
  const DeviceBuffer<int64_t> offsets(context, found.offsets);
  const DeviceBuffer<int32_t> columns(context, found.offsets.back());
  const DeviceBuffer<float> values(context, found.offsets.back());
  take_positive(context, {on_device, offsets.data(), columns.data(), values.data()});
  found.columns = columns.to_host();
  found.values = values.to_host();
  return found;
}

}  // namespace sartor::cuda
