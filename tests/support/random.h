// Random test inputs, a function of the seed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

namespace sartor {

// A dense matrix on the host, row-major.
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<float> values;

  Matrix() = default;
  Matrix(int64_t rows, int64_t columns) : rows(rows), columns(columns), values(rows * columns) {}
  Matrix(int64_t rows, int64_t columns, std::vector<float> values)
      : rows(rows), columns(columns), values(std::move(values)) {}
  float* row(int64_t index) { return values.data() + index * columns; }
  const float* row(int64_t index) const { return values.data() + index * columns; }
};

inline std::vector<float> normals(int64_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

inline Matrix normal_rows(int64_t rows, int64_t columns, uint64_t seed) {
  return {rows, columns, normals(rows * columns, seed)};
}

inline std::vector<int32_t> permutation(int64_t size, uint64_t seed) {
  std::vector<int32_t> order(size);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  return order;
}

inline Matrix rows_of(const Matrix& matrix, const std::vector<int32_t>& order) {
  Matrix chosen(std::ssize(order), matrix.columns);
  for (int64_t r = 0; r < chosen.rows; r++) std::copy_n(matrix.row(order[r]), matrix.columns, chosen.row(r));
  return chosen;
}

// For each of `rows` rows an ascending list of ids below `ids`, each included with the given probability; layout of
// IdLists.
struct RandomLists {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> ids;

  RandomLists(int64_t rows, int64_t ids_end, double probability, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::bernoulli_distribution drawn(probability);
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t id = 0; id < ids_end; id++) {
        if (drawn(random)) ids.push_back(static_cast<int32_t>(id));
      }
      offsets.push_back(std::ssize(ids));
    }
  }
};

}  // namespace sartor
