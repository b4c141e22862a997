#include "tasks/factors/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include "metrics/ranking.h"
#include "metrics/rating.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

constexpr int64_t block = 1024;  // users ranked at a time, which bounds memory

// Completes sums to which each rank has added the vectors of its users: the ranks take turns in the order of the users.
void complete(Collective& ranks, std::span<OrderedSums* const> all) {
  std::vector<double> before;
  for (int turn = 0; turn < ranks.size(); turn++) {
    std::vector<double> now;
    for (auto* each : all) {
      const size_t size = each->sums().size(), at = now.size();
      if (turn == ranks.rank() && turn > 0) each->start_from(std::span(before).subspan(at, size));
      now.insert(now.end(), each->sums().begin(), each->sums().end());
      if (turn != ranks.rank()) std::fill_n(now.begin() + static_cast<int64_t>(at), size, 0.0);
    }
    before = ranks.sum(std::move(now));
  }
  std::span<const double> left = before;
  for (auto* each : all) {
    each->start_from(left.first(each->sums().size()));
    left = left.subspan(each->sums().size());
  }
}

// What the metrics need of the users that this rank evaluates, and then of all users.
struct Evaluated {
  int64_t ratings = 0;
  OrderedSums errors;  // squared, absolute
  RankingMetrics ranking;

  Evaluated(const EvaluationConfig& config, int64_t items, bool postponed)
      : errors(2, postponed), ranking(config.at, items, postponed) {}

  void add_error(double predicted, double truth) {
    RatingMetrics one;
    one.add(predicted, truth);
    ratings++;
    errors.add(std::array{one.squared, one.absolute});
  }

  void gather(Collective& ranks) {
    if (ranks.size() == 1) return;
    std::vector<OrderedSums*> sums = {&errors};
    for (auto& each : ranking.sums()) sums.push_back(&each);
    complete(ranks, sums);
    std::vector<int64_t> counts = ranking.counts();
    counts.push_back(ratings);
    const auto total = ranks.sum({counts.begin(), counts.end()});  // exact: far below 2^53
    std::ranges::copy(total, counts.begin());
    ratings = counts.back();
    ranking.set_counts(std::span(counts).first(counts.size() - 1));
  }

  std::vector<Metric> metrics(std::span<const int64_t> popularity) const {
    auto metrics = RatingMetrics{ratings, errors.sums()[0], errors.sums()[1]}.finish();
    const auto more = ranking.finish(popularity);
    metrics.insert(metrics.end(), more.begin(), more.end());
    return metrics;
  }
};

}  // namespace

std::vector<Metric> evaluate(cuda::Context& context, const TrainedModel& model, const datasets::Prepared& data,
                             HeldOut split, const EvaluationConfig& config, Collective& ranks) {
  const auto& held_out = split == HeldOut::test ? data.test : data.validation;
  if (held_out.size() == 0) return {};
  std::vector<const datasets::StoredRatings*> known = {&data.train};
  if (split == HeldOut::test) known.push_back(&data.validation);

  const int64_t items = data.items, longest = config.at.empty() ? 0 : std::min(std::ranges::max(config.at), items);
  Evaluated evaluated(config, items, /*postponed=*/!ranks.first());
  const auto scorer = model.scorer(context, {});
  const int64_t end = data.users * (ranks.rank() + 1) / ranks.size();
  for (int64_t first = data.users * ranks.rank() / ranks.size(); first < end; first += block) {
    const int64_t users = std::min(block, end - first);
    const UserRatings truth = read_users(held_out, first, users);
    const std::vector<double> predicted = model.predict(first, truth);
    for (size_t at = 0; at < predicted.size(); at++) evaluated.add_error(predicted[at], truth.values[at]);
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
      evaluated.ranking.add(ranked.of(user), relevant);
    }
  }
  evaluated.gather(ranks);
  return evaluated.metrics(model.item_count);
}

std::vector<Metric> evaluate(cuda::Context& context, const TrainedModel& model, const datasets::Prepared& data,
                             HeldOut split, const EvaluationConfig& config) {
  Alone alone;
  return evaluate(context, model, data, split, config, alone);
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
