#include "models/neighbors/baseline.h"

#include <numeric>

#include "models/neighbors/sparse_rows.h"

namespace sartor {
namespace {

// Biases of the rows for those of the columns.
std::vector<double> biases(const UserRatings& rows, const std::vector<double>& of_columns, double mean,
                           double regularization) {
  std::vector<double> found(rows.users());
  for (int64_t row = 0; row < rows.users(); row++) {
    double sum = 0;
    for_row(rows, row, [&](int64_t at) { sum += rows.values[at] - mean - of_columns[rows.items[at]]; });
    const auto count = static_cast<double>(rows.offsets[row + 1] - rows.offsets[row]);
    found[row] = count > 0 ? sum / (regularization + count) : 0;
  }
  return found;
}

std::vector<float> rounded(const std::vector<double>& values) { return {values.begin(), values.end()}; }

}  // namespace

double Baseline::bias_of(std::span<const int32_t> items, std::span<const float> ratings, double regularization) const {
  double sum = 0;
  for (size_t at = 0; at < items.size(); at++) sum += ratings[at] - rating(0, items[at]);
  return items.empty() ? 0 : sum / (regularization + static_cast<double>(items.size()));
}

Baseline fit_baseline(const UserRatings& by_user, const UserRatings& by_item, const BaselineConfig& config) {
  const double sum = std::accumulate(by_user.values.begin(), by_user.values.end(), 0.0);
  const double mean = by_user.values.empty() ? 0 : sum / static_cast<double>(by_user.values.size());
  std::vector<double> users(by_user.users()), items;
  for (int64_t epoch = 0; epoch < config.epochs; epoch++) {
    items = biases(by_item, users, mean, config.item_regularization);
    users = biases(by_user, items, mean, config.user_regularization);
  }
  return {mean, rounded(users), rounded(items)};
}

std::vector<float> row_means(const UserRatings& rows) {
  std::vector<float> means(rows.users());
  for (int64_t row = 0; row < rows.users(); row++) {
    double sum = 0;
    for_row(rows, row, [&](int64_t at) { sum += rows.values[at]; });
    const int64_t count = rows.offsets[row + 1] - rows.offsets[row];
    if (count > 0) means[row] = static_cast<float>(sum / static_cast<double>(count));
  }
  return means;
}

}  // namespace sartor
