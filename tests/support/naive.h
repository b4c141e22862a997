// Reference implementations: double loops in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "similarity/topk.h"
#include "support/random.h"

namespace sartor {

// Arguments of a top-k search on the host.
struct TopkInputs {
  Matrix queries, items;
  std::vector<float> item_bias = {};
  const RandomLists* excluded = nullptr;
  std::vector<uint32_t> allowed = {}, denied = {};  // bits as in cuda::TopkTask, or empty
};

// Top-k results on the host, (queries, k).
template <class Score> struct FoundRows {
  int64_t k = 0;
  std::vector<Score> scores;
  std::vector<int32_t> ids;
};

// The nearest multiple of 2^(exponent of x + 1 - bits), at least of 2^finest.
inline double rounded(double x, int bits, int finest) {
  if (x == 0 || !std::isfinite(x)) return x;
  const double step = std::ldexp(1, std::max(std::ilogb(x) + 1 - bits, finest));
  return std::nearbyint(x / step) * step;
}

// The rows that a search multiplies, in fp64. tf32 is not rounded: the CPU does not.
inline std::vector<std::vector<double>> naive_rows(const Matrix& rows, const cuda::TopkParams& params) {
  using cuda::TopkPrecision;
  std::vector<std::vector<double>> made;
  for (int64_t r = 0; r < rows.rows; r++) {
    auto& row = made.emplace_back(rows.row(r), rows.row(r) + rows.columns);
    if (params.similarity == cuda::Similarity::centred_cosine) {
      double sum = 0;
      for (const double x : row) sum += x;
      for (double& x : row) x = static_cast<float>(x - sum / static_cast<double>(row.size()));
    }
    double largest = 0;
    for (const double x : row) largest = std::max(largest, std::abs(x));
    const double scale = largest > 0 ? std::ldexp(1, std::ilogb(largest) + 1) : 1;
    for (double& x : row) {
      if (params.precision == TopkPrecision::fp16) x = rounded(x / scale, 11, -24) * scale;
      if (params.precision == TopkPrecision::bf16) x = rounded(x / scale, 8, -133) * scale;
    }
  }
  return made;
}

inline double naive_score(std::span<const double> query, std::span<const double> item, bool cosine) {
  double dot = 0, query_square = 0, item_square = 0;
  for (size_t c = 0; c < query.size(); c++) {
    dot += query[c] * item[c];
    query_square += query[c] * query[c];
    item_square += item[c] * item[c];
  }
  if (!cosine) return dot;
  return query_square > 0 && item_square > 0 ? dot / std::sqrt(query_square * item_square) : 0;
}

inline bool bit(const std::vector<uint32_t>& bits, int64_t index) { return bits[index / 32] >> index % 32 & 1; }

inline bool naive_may_find(const TopkInputs& inputs, int64_t query, int64_t item) {
  if (!inputs.allowed.empty() && !bit(inputs.allowed, item)) return false;
  if (!inputs.denied.empty() && bit(inputs.denied, item)) return false;
  if (!inputs.excluded) return true;
  const auto& [offsets, ids] = *inputs.excluded;
  return !std::binary_search(ids.begin() + offsets[query], ids.begin() + offsets[query + 1],
                             static_cast<int32_t>(item));
}

inline FoundRows<double> naive_topk(const TopkInputs& inputs, const cuda::TopkParams& params) {
  const auto queries = naive_rows(inputs.queries, params), items = naive_rows(inputs.items, params);
  const bool cosine = params.similarity != cuda::Similarity::dot;
  FoundRows<double> found{params.k, {}, {}};
  for (int64_t q = 0; q < inputs.queries.rows; q++) {
    std::vector<std::pair<double, int32_t>> ranked;  // (-score, id)
    for (int64_t j = 0; j < inputs.items.rows; j++) {
      if (!naive_may_find(inputs, q, j)) continue;
      const double bias = inputs.item_bias.empty() ? 0 : inputs.item_bias[j];
      ranked.emplace_back(-naive_score(queries[q], items[j], cosine) - bias, static_cast<int32_t>(j));
    }
    std::sort(ranked.begin(), ranked.end());
    ranked.resize(params.k, {std::numeric_limits<double>::infinity(), -1});
    for (const auto& [negative, id] : ranked) {
      found.scores.push_back(-negative);
      found.ids.push_back(id);
    }
  }
  return found;
}

}  // namespace sartor
