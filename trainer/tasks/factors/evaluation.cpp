#include "tasks/factors/evaluation.h"

#include <algorithm>
#include <array>
#include <future>
#include <span>
#include <utility>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "core/processors.h"
#include "metrics/ordered_sums.h"
#include "metrics/ranking.h"
#include "metrics/rating.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

constexpr int64_t block = 128;  // users whose metrics are added up by one thread

// Users ranked at a time, and their ratings and recommendations. They bound memory.
constexpr int64_t most_users = 8192, most_entries = 1 << 22;

// Items of each of several users, ascending.
struct ItemLists {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> items;

  void add(std::span<const int32_t> list) {
    items.insert(items.end(), list.begin(), list.end());
    offsets.push_back(std::ssize(items));
  }
  std::span<const int32_t> of(int64_t user) const {
    return std::span(items).subspan(offsets[user], offsets[user + 1] - offsets[user]);
  }
  cuda::IdLists view() const { return {std::ssize(offsets) - 1, offsets.data(), items.data()}; }
};

// Consecutive users that are ranked together.
struct Batch {
  int64_t first;
  UserRatings truth;
  ItemLists relevant;
  std::vector<int64_t> row_of;  // row of each user in `ranked`, or -1 without relevant items
  RankedItems ranked;
};

class Evaluation {
 public:
  Evaluation(cuda::Context& context, const TrainedModel& model, const datasets::Prepared& data, HeldOut split,
             const EvaluationConfig& config)
      : context_(context),
        model_(model),
        data_(data),
        held_out_(split == HeldOut::test ? data.test : data.validation),
        known_{&data.train},
        relevant_from_(config.relevant_from),
        longest_(config.at.empty() ? 0 : std::min(std::ranges::max(config.at), data.items)),
        threads_(context.is_gpu() ? cuda::available_threads() : cuda::cpu(context).threads),
        errors_(blocks(), 3),
        ranking_(config.at, data.items, blocks()) {
    if (split == HeldOut::test) known_.push_back(&data.validation);
  }

  int64_t blocks() const { return (data_.users + block - 1) / block; }

  // Evaluates the users of blocks first_block to end_block - 1. While a GPU ranks users, those before are scored.
  void add(int64_t first_block, int64_t end_block) {
    const auto scorer = model_.scorer(context_, {});
    std::future<void> scoring;
    const int64_t end = std::min(end_block * block, data_.users);
    for (int64_t first = first_block * block, next; first < end; first = next) {
      next = end_of_batch(first, end);
      Batch batch = read(first, next - first);
      if (longest_ > 0) rank(*scorer, batch);
      if (scoring.valid()) scoring.get();
      scoring = std::async(context_.is_gpu() ? std::launch::async : std::launch::deferred,
                           [this, batch = std::move(batch)] { score(batch); });
    }
    if (scoring.valid()) scoring.get();
  }

  // Adds the blocks of the other ranks.
  void gather(Collective& ranks) {
    if (ranks.size() == 1) return;
    const auto errors = errors_.values();
    std::vector<double> sums = ranking_.state();
    sums.insert(sums.end(), errors.begin(), errors.end());
    sums = ranks.sum(std::move(sums));
    const auto ranking = std::span<const double>(sums).first(sums.size() - errors.size());
    std::copy(sums.end() - std::ssize(errors), sums.end(), errors.begin());
    ranking_.set_state(ranking);
  }

  std::vector<Metric> metrics() const {
    const auto errors = errors_.total();
    auto metrics = RatingMetrics{static_cast<int64_t>(errors[0]), errors[1], errors[2]}.finish();
    const auto more = ranking_.finish(model_.item_count);
    metrics.insert(metrics.end(), more.begin(), more.end());
    return metrics;
  }

 private:
  // A whole number of blocks, at least one, unless the end comes first.
  int64_t end_of_batch(int64_t first, int64_t end) const {
    const int64_t users = std::min(most_users, most_entries / std::max<int64_t>(longest_, 1));
    const int64_t most = std::min(first + users, data_.train.rows_within(first, most_entries));
    return std::min(first + std::max((most - first) / block, int64_t{1}) * block, end);
  }

  Batch read(int64_t first, int64_t users) const {
    Batch batch = {first, read_users(held_out_, first, users), {}, {}, {}};
    std::vector<int32_t> relevant;
    int64_t rows = 0;
    for (int64_t user = 0; user < users; user++) {
      relevant.clear();
      for (int64_t at = batch.truth.offsets[user]; at < batch.truth.offsets[user + 1]; at++) {
        if (batch.truth.values[at] >= relevant_from_) relevant.push_back(batch.truth.items[at]);
      }
      batch.relevant.add(relevant);
      batch.row_of.push_back(relevant.empty() ? -1 : rows++);
    }
    return batch;
  }

  void rank(Scorer& scorer, Batch& batch) const {
    const int64_t users = batch.truth.users();
    const UserRatings known = read_users(known_, batch.first, users);
    std::vector<int32_t> indices;
    ItemLists excluded;
    for (int64_t user = 0; user < users; user++) {
      if (batch.row_of[user] < 0) continue;
      indices.push_back(static_cast<int32_t>(batch.first + user));
      const int64_t begin = known.offsets[user], end = known.offsets[user + 1];
      excluded.add(std::span(known.items).subspan(begin, end - begin));
    }
    if (!indices.empty()) batch.ranked = scorer.rank(indices, excluded.view(), longest_);
  }

  void score(const Batch& batch) {
    const int64_t users = batch.truth.users();
    cuda::parallel_for(threads_, users, block, [&](int64_t begin, int64_t end, int) {
      const int64_t of_block = (batch.first + begin) / block;
      const UserRatings truth = slice(batch.truth, begin, end);
      const std::vector<double> predicted = model_.predict(batch.first + begin, truth);
      for (size_t at = 0; at < predicted.size(); at++) {
        RatingMetrics one;
        one.add(predicted[at], truth.values[at]);
        errors_.add(of_block, std::array{1.0, one.squared, one.absolute});
      }
      for (int64_t user = begin; user < end; user++) {
        const int64_t row = batch.row_of[user];
        if (longest_ > 0 && row >= 0) ranking_.add(batch.ranked.of(row), batch.relevant.of(user), of_block);
      }
    });
  }

  cuda::Context& context_;
  const TrainedModel& model_;
  const datasets::Prepared& data_;
  const datasets::StoredRatings& held_out_;
  std::vector<const datasets::StoredRatings*> known_;
  double relevant_from_;
  int64_t longest_;  // of the recommendation lists; 0: none are needed
  int threads_;
  OrderedSums errors_;  // 1, squared, absolute
  RankingMetrics ranking_;
};

}  // namespace

bool is_metric(const EvaluationConfig& config, std::string_view name) {
  RankingMetrics ranking(config.at, 1);  // of one user to whom the only item is relevant
  ranking.add(std::array{0}, std::array{0});
  const int64_t popularity = 1;
  auto metrics = ranking.finish({&popularity, 1});
  RatingMetrics rating;
  rating.add(0, 0);
  std::ranges::copy(rating.finish(), std::back_inserter(metrics));
  return std::ranges::find(metrics, name, &Metric::name) != metrics.end();
}

std::vector<Metric> evaluate(cuda::Context& context, const TrainedModel& model, const datasets::Prepared& data,
                             HeldOut split, const EvaluationConfig& config, Collective& ranks) {
  if ((split == HeldOut::test ? data.test : data.validation).size() == 0) return {};
  Evaluation evaluation(context, model, data, split, config);
  const int64_t blocks = evaluation.blocks(), rank = ranks.rank();
  evaluation.add(blocks * rank / ranks.size(), blocks * (rank + 1) / ranks.size());
  evaluation.gather(ranks);
  return evaluation.metrics();
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
  for (int64_t first = 0; first < data.users; first += most_users) {
    const int64_t users = std::min(most_users, data.users - first);
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
