#include "models/factorization/gradient/gradient_config.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "base/require.h"
#include "models/factorization/row_shares.h"

namespace sartor {
namespace {

double mean_rating(const datasets::StoredRatings& ratings) {
  double sum = 0;
  read_rows(ratings, 0, ratings.rows(), [&](int64_t, const auto&, const auto& values) {
    sum = std::accumulate(values.begin(), values.end(), sum);
  });
  return sum / static_cast<double>(ratings.size());
}

}  // namespace

cuda::SgdParams GradientConfig::params(int64_t epoch) const {
  const float decay = std::pow(learning_rate_decay, static_cast<float>(epoch));
  return {.learning_rate = learning_rate * decay,
          .bias_learning_rate = bias_learning_rate.value_or(learning_rate) * decay,
          .regularization = regularization,
          .bias_regularization = bias_regularization.value_or(regularization)};
}

cuda::AlsParams GradientConfig::loss() const {
  return {regularization, bias_regularization.value_or(regularization), regularization_power};
}

InitialRows GradientConfig::initial_rows(int64_t first) const {
  return {
      .factors = factors, .scale = init_scale, .seed = seed, .first = first, .weight_power = regularization_power - 1};
}

GradientData::GradientData(const datasets::Prepared& data, bool with_mean)
    : mean(0), rating_min(data.rating_min), rating_max(data.rating_max) {
  require(data.train.size() > 0, "{}: there are no training ratings", data.file.path().string());
  if (with_mean) mean = mean_rating(data.train);
  const auto& offsets = data.train_by_item.offsets();
  for (int64_t item = 0; item < data.items; item++) item_count.push_back(offsets[item + 1] - offsets[item]);
}

std::vector<Metric> gradient_metrics(double squared_error, int64_t ratings) {
  const auto count = static_cast<double>(ratings);
  return {{"rmse", std::sqrt(squared_error / count)},
          {"log_likelihood", -0.5 * (squared_error + count * std::log(2 * std::numbers::pi))}};
}

void set_factors(AlsModel& model, const GradientConfig& config, const GradientData& data, const GradientRows& users,
                 const GradientRows& items) {
  model.factors = config.factors;
  model.mean = data.mean;
  model.rating_min = data.rating_min;
  model.rating_max = data.rating_max;
  model.user_factors = users.factors();
  model.item_factors = items.factors();
  model.user_bias = users.biases();
  model.item_bias = items.biases();
  model.item_count = data.item_count;
  model.popularity_weight = config.popularity_weight;
  model.solver = config.loss();
}

}  // namespace sartor
