// Ratings in CSR form for the benchmarks of factorizations: read from a file, or made.
#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/require.h"

namespace sartor::cuda {

struct RatingMatrix {
  int64_t rows = 0, columns = 0;
  std::vector<int64_t> offsets;
  std::vector<int32_t> indices;
  std::vector<float> values;
};

inline RatingMatrix read_matrix(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  int64_t sizes[3] = {};
  const auto fill = [&](auto* to, int64_t count) {
    file.read(reinterpret_cast<char*>(to), count * static_cast<int64_t>(sizeof *to));
    require(file.good(), "{}: cannot read {} elements", path, count);
  };
  fill(sizes, 3);
  RatingMatrix matrix = {sizes[0], sizes[1], std::vector<int64_t>(sizes[0] + 1), std::vector<int32_t>(sizes[2]),
                         std::vector<float>(sizes[2])};
  fill(matrix.offsets.data(), sizes[0] + 1);
  fill(matrix.indices.data(), sizes[2]);
  fill(matrix.values.data(), sizes[2]);
  return matrix;
}

// Draws users and items with a density proportional to 1 / sqrt(rank). Repeated items of a user are dropped, so there
// may be slightly fewer ratings than requested.
inline RatingMatrix make_matrix(int64_t users, int64_t items, int64_t ratings) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(0, 1);
  const auto draw = [&](int64_t size) { return std::min<int64_t>(size * std::pow(uniform(random), 2), size - 1); };
  std::vector<std::pair<int32_t, int32_t>> pairs(ratings);
  for (auto& [user, item] : pairs) user = draw(users), item = draw(items);
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());

  RatingMatrix matrix = {users, items, std::vector<int64_t>(users + 1), {}, {}};
  for (const auto& [user, item] : pairs) {
    matrix.offsets[user + 1]++;
    matrix.indices.push_back(item);
    matrix.values.push_back(std::floor(1 + 5 * uniform(random)));
  }
  std::partial_sum(matrix.offsets.begin(), matrix.offsets.end(), matrix.offsets.begin());
  return matrix;
}

inline RatingMatrix transposed(const RatingMatrix& from) {
  RatingMatrix to = {from.columns, from.rows, std::vector<int64_t>(from.columns + 1),
                     std::vector<int32_t>(from.indices.size()), std::vector<float>(from.values.size())};
  for (const int32_t column : from.indices) to.offsets[column + 1]++;
  std::partial_sum(to.offsets.begin(), to.offsets.end(), to.offsets.begin());
  auto next = to.offsets;
  for (int64_t row = 0; row < from.rows; row++) {
    for (int64_t i = from.offsets[row]; i < from.offsets[row + 1]; i++) {
      const int64_t place = next[from.indices[i]]++;
      to.indices[place] = row;
      to.values[place] = from.values[i];
    }
  }
  return to;
}

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Peak resident memory since the last call to forget_peak().
inline void forget_peak() { std::ofstream("/proc/self/clear_refs") << 5; }
inline double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (double kib; word == "VmHWM:" && status >> kib) return kib / 1024;
  }
  return 0;
}

}  // namespace sartor::cuda
