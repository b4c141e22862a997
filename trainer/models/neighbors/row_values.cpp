#include "models/neighbors/row_values.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/require.h"
#include "models/neighbors/sparse_rows.h"

namespace sartor {
namespace {

using Similarity = NeighborSimilarity;

// As implicit: the columns are documents, of which the rows are terms.
std::vector<float> inverse_frequencies(const UserRatings& rows, int64_t columns) {
  std::vector<double> counts(columns);
  for (const int32_t column : rows.items) counts[column]++;
  std::vector<float> weights;
  for (const double count : counts) {
    weights.push_back(static_cast<float>(std::log(static_cast<double>(rows.users())) - std::log1p(count)));
  }
  return weights;
}

double sum_of(const UserRatings& rows, int64_t row) {
  double sum = 0;
  for_row(rows, row, [&](int64_t at) { sum += rows.values[at]; });
  return sum;
}

void normalize(UserRatings& rows) {
  for (int64_t row = 0; row < rows.users(); row++) {
    double squares = 0;
    for_row(rows, row, [&](int64_t at) { squares += static_cast<double>(rows.values[at]) * rows.values[at]; });
    if (squares == 0) continue;
    const double length = std::sqrt(squares);
    for_row(rows, row, [&](int64_t at) { rows.values[at] = static_cast<float>(rows.values[at] / length); });
  }
}

}  // namespace

void RowValuesConfig::check() const {
  require(weights == RowWeights::none || weights == RowWeights::binary || similarity == Similarity::cosine ||
              similarity == Similarity::dot,
          "weights is {}, which requires similarity: cosine or dot, found {}", name_of(weights), name_of(similarity));
}

bool RowValuesConfig::only_co_rated() const {
  return similarity == Similarity::msd ||
         (missing == MissingRatings::co_rated && similarity != Similarity::jaccard && similarity != Similarity::dot);
}

cuda::RowSimilarityParams RowValuesConfig::params(int64_t k) const {
  using cuda::RowMeasure;
  RowMeasure measure = only_co_rated() ? RowMeasure::cosine : RowMeasure::dot;
  if (similarity == Similarity::msd) measure = RowMeasure::msd;
  if (similarity == Similarity::jaccard) measure = RowMeasure::jaccard;
  if (similarity == Similarity::pearson && only_co_rated()) measure = RowMeasure::pearson;
  return {.measure = measure,
          .k = k,
          .min_support = min_support,
          .shrinkage = static_cast<float>(shrinkage),
          .keep_negative = keep_negative};
}

RowValues::RowValues(const RowValuesConfig& config, const UserRatings& rows, int64_t columns, double mean,
                     std::span<const float> column_bias)
    : config_(config), mean_(mean) {
  if (config.weights == RowWeights::tfidf || config.weights == RowWeights::bm25) {
    column_weight_ = inverse_frequencies(rows, columns);
    const double sum = std::accumulate(rows.values.begin(), rows.values.end(), 0.0);
    average_length_ = rows.users() > 0 ? sum / static_cast<double>(rows.users()) : 0;
  }
  if (config.similarity == Similarity::adjusted_cosine) column_mean_ = row_means(transposed(rows, columns));
  if (config.similarity == Similarity::pearson_baseline) column_bias_.assign(column_bias.begin(), column_bias.end());
}

UserRatings RowValues::of(const UserRatings& rows, std::span<const float> row_bias) const {
  UserRatings values = rows;
  weigh(values);
  center(values, row_bias);
  const bool lengths = config_.similarity != Similarity::jaccard && config_.similarity != Similarity::dot;
  if (lengths && !config_.only_co_rated()) normalize(values);
  return values;
}

void RowValues::weigh(UserRatings& rows) const {
  if (config_.weights == RowWeights::none) return;
  if (config_.weights == RowWeights::binary) {
    std::ranges::fill(rows.values, 1.0f);
    return;
  }
  const double k1 = config_.bm25_k1, b = config_.bm25_b;
  for (int64_t row = 0; row < rows.users(); row++) {
    const double length = 1 - b + b * sum_of(rows, row) / average_length_;
    for_row(rows, row, [&](int64_t at) {
      const double rating = rows.values[at], weight = column_weight_[rows.items[at]];
      require(rating >= 0, "a rating is {}, expected 0 or more for weights: {}", rating, name_of(config_.weights));
      const bool saturates = config_.weights == RowWeights::bm25 && rating > 0;
      const double frequency = saturates ? rating * (k1 + 1) / (k1 * length + rating) : std::sqrt(rating);
      rows.values[at] = static_cast<float>(frequency * weight);
    });
  }
}

// Correlations of common ratings do not depend on what is subtracted; a whole number close to their mean keeps sums of
// products small and those of whole ratings exact.
void RowValues::center(UserRatings& rows, std::span<const float> row_bias) const {
  const bool correlation = config_.similarity == Similarity::pearson, exact = correlation && config_.only_co_rated();
  if (config_.similarity == Similarity::msd || exact) {
    for (float& value : rows.values) value -= static_cast<float>(std::round(mean_));
  } else if (correlation) {
    const auto means = row_means(rows);
    for (int64_t row = 0; row < rows.users(); row++) {
      for_row(rows, row, [&](int64_t at) { rows.values[at] -= means[row]; });
    }
  } else if (config_.similarity == Similarity::adjusted_cosine) {
    for (size_t at = 0; at < rows.items.size(); at++) rows.values[at] -= column_mean_[rows.items[at]];
  } else if (config_.similarity == Similarity::pearson_baseline) {
    for (int64_t row = 0; row < rows.users(); row++) {
      for_row(rows, row, [&](int64_t at) {
        rows.values[at] -= static_cast<float>(mean_ + row_bias[row] + column_bias_[rows.items[at]]);
      });
    }
  }
}

}  // namespace sartor
