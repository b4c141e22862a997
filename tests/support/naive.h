// Reference implementations: double loops in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "similarity/topk.h"
#include "support/random.h"

namespace sartor {

// Top-k results on the host, (queries, k).
template <class Score> struct FoundRows {
  int64_t k = 0;
  std::vector<Score> scores;
  std::vector<int32_t> ids;
};

inline double naive_score(const Matrix& queries, int64_t q, const Matrix& items, int64_t j,
                          const std::vector<float>& item_bias, cuda::Similarity similarity) {
  double dot = 0, query_square = 0, item_square = 0;
  for (int64_t c = 0; c < items.columns; c++) {
    const double x = queries.row(q)[c], y = items.row(j)[c];
    dot += x * y;
    query_square += x * x;
    item_square += y * y;
  }
  if (similarity == cuda::Similarity::dot) return dot + (item_bias.empty() ? 0 : item_bias[j]);
  return query_square > 0 && item_square > 0 ? dot / std::sqrt(query_square * item_square) : 0;
}

// `excluded` may be nullptr.
inline FoundRows<double> naive_topk(const Matrix& queries, const Matrix& items, const std::vector<float>& item_bias,
                                    const RandomLists* excluded, const cuda::TopkParams& params) {
  FoundRows<double> found{params.k, {}, {}};
  for (int64_t q = 0; q < queries.rows; q++) {
    std::vector<std::pair<double, int32_t>> ranked;  // (-score, id)
    for (int64_t j = 0; j < items.rows; j++) {
      if (excluded && std::binary_search(excluded->ids.begin() + excluded->offsets[q],
                                         excluded->ids.begin() + excluded->offsets[q + 1], static_cast<int32_t>(j))) {
        continue;
      }
      ranked.emplace_back(-naive_score(queries, q, items, j, item_bias, params.similarity), static_cast<int32_t>(j));
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
