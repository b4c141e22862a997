#include "tasks/factors/evaluation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "metrics/ranking.h"
#include "metrics/rating.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

constexpr int64_t block = 1024;  // users ranked at a time, which bounds memory

}  // namespace

std::vector<Metric> evaluate(cuda::Context& context, const TrainedModel& model, const datasets::Prepared& data,
                             HeldOut split, const EvaluationConfig& config) {
  const auto& held_out = split == HeldOut::test ? data.test : data.validation;
  if (held_out.size() == 0) return {};
  std::vector<const datasets::StoredRatings*> known = {&data.train};
  if (split == HeldOut::test) known.push_back(&data.validation);

  const int64_t items = data.items, longest = config.at.empty() ? 0 : std::min(std::ranges::max(config.at), items);
  RatingMetrics rating;
  RankingMetrics ranking(config.at, items);
  const auto scorer = model.scorer(context, {});
  for (int64_t first = 0; first < data.users; first += block) {
    const int64_t users = std::min(block, data.users - first);
    const UserRatings truth = read_users(held_out, first, users);
    const std::vector<double> predicted = model.predict(first, truth);
    for (size_t at = 0; at < predicted.size(); at++) rating.add(predicted[at], truth.values[at]);
    if (longest == 0) continue;

    const UserRatings seen = read_users(known, first, users);
    std::vector<int32_t> indices(users);
    std::iota(indices.begin(), indices.end(), static_cast<int32_t>(first));
    const RankedItems ranked = scorer->rank(indices, {users, seen.offsets.data(), seen.items.data()}, longest);
    for (int64_t user = 0; user < users; user++) {
      std::vector<int32_t> relevant;
      for (int64_t at = truth.offsets[user]; at < truth.offsets[user + 1]; at++) {
        if (truth.values[at] >= config.relevant_from) relevant.push_back(truth.items[at]);
      }
      ranking.add(ranked.of(user), relevant);
    }
  }

  std::vector<Metric> metrics = rating.finish();
  const auto more = ranking.finish(model.item_count);
  metrics.insert(metrics.end(), more.begin(), more.end());
  return metrics;
}

namespace {

// A model without factors, with zero biases, and the number and sum of training ratings per user.
struct Counted {
  FactorModel model;
  std::vector<double> user_sum;
  std::vector<int64_t> user_count;
};

Counted count_training(const datasets::Prepared& data) {
  Counted counted = {{}, std::vector<double>(data.users), std::vector<int64_t>(data.users)};
  FactorModel& model = counted.model;
  model.user_bias.resize(data.users);
  model.item_bias.resize(data.items);
  model.item_count.resize(data.items);
  model.rating_min = data.rating_min;
  model.rating_max = data.rating_max;
  double sum = 0;
  for (int64_t first = 0; first < data.users; first += block) {
    const int64_t users = std::min(block, data.users - first);
    const UserRatings ratings = read_users(data.train, first, users);
    for (int64_t user = 0; user < users; user++) {
      for (int64_t at = ratings.offsets[user]; at < ratings.offsets[user + 1]; at++) {
        counted.user_sum[first + user] += ratings.values[at];
        model.item_count[ratings.items[at]]++;
      }
      counted.user_count[first + user] = ratings.offsets[user + 1] - ratings.offsets[user];
      sum += counted.user_sum[first + user];
    }
  }
  model.mean = sum / static_cast<double>(data.train.size());
  return counted;
}

}  // namespace

FactorModel popularity_baseline(const datasets::Prepared& data) {
  FactorModel model = count_training(data).model;
  model.popularity_weight = 1;
  return model;
}

FactorModel user_mean_baseline(const datasets::Prepared& data) {
  auto [model, sum, count] = count_training(data);
  for (int64_t user = 0; user < data.users; user++) {
    if (count[user] > 0)
      model.user_bias[user] = static_cast<float>(sum[user] / static_cast<double>(count[user]) - model.mean);
  }
  return model;
}

}  // namespace sartor
