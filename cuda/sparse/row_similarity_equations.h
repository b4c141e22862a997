// Equations of row_similarity, for every compiler.
#pragma once

#include "sparse/row_similarity.h"

#ifdef __CUDACC__
#define SARTOR_SIMILARITY_DEVICE __host__ __device__
#else
#define SARTOR_SIMILARITY_DEVICE [[gnu::always_inline]]
#endif

namespace sartor::cuda {

// Sums over the common columns of a pair of rows.
struct PairSums {
  double xy, x, y, xx, yy, n;
};

// What a pair's sums consist of.
enum class RowSums {
  products,  // xy
  counted,   // xy and n
  all
};

SARTOR_SIMILARITY_DEVICE constexpr RowSums sums_of(const RowSimilarityParams& params) {
  if (params.measure == RowMeasure::jaccard) return RowSums::counted;
  if (params.measure != RowMeasure::dot) return RowSums::all;
  return params.min_support > 1 || params.shrinkage > 0 ? RowSums::counted : RowSums::products;
}

// The similarity of a pair with common columns, before shrinkage. sizes: number of entries of both rows together.
// Variances that may be rounding errors of sums are 0.
SARTOR_SIMILARITY_DEVICE constexpr double pair_measure(RowMeasure measure, const PairSums& sums, double sizes) {
  const auto& [xy, x, y, xx, yy, n] = sums;
  switch (measure) {
    case RowMeasure::dot:
      return xy;
    case RowMeasure::cosine: {
      const double squares = xx * yy;
      return squares > 0 ? xy / __builtin_sqrt(squares) : 0;
    }
    case RowMeasure::pearson: {
      constexpr double rounding = 1e-12;
      const double of_x = n * xx - x * x, of_y = n * yy - y * y;
      if (of_x <= rounding * n * xx || of_y <= rounding * n * yy) return 0;
      return (n * xy - x * y) / __builtin_sqrt(of_x * of_y);
    }
    case RowMeasure::msd: {
      const double squared = xx + yy - 2 * xy;
      return n / (n + (squared > 0 ? squared : 0));
    }
    default:
      return n / (sizes - n);
  }
}

// 0 if the support is too low.
SARTOR_SIMILARITY_DEVICE constexpr float pair_similarity(const RowSimilarityParams& params, const PairSums& sums,
                                                         double sizes) {
  if (sums.n < static_cast<double>(params.min_support)) return 0;
  double similarity = pair_measure(params.measure, sums, sizes);
  if (params.shrinkage > 0) {
    const double support = sums_of(params) == RowSums::all ? sums.n - 1 : sums.n;
    similarity *= support / (support + params.shrinkage);
  }
  return static_cast<float>(similarity);
}

}  // namespace sartor::cuda
