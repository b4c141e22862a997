// Evaluation of many users, in blocks over threads and ranks, against double loops.
#include "tasks/factors/evaluation.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/random.h"
#include "core/cpu_backend.h"
#include "interactions/write_prepared.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "support/thread_ranks.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using Values = std::map<std::string, double>;

constexpr int64_t users = 9001, items = 23, factors = 3;  // more users than are ranked at a time

std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 4 != 0) return {};
  return static_cast<float>(1 + random_bits(2, cell) % 5);
}

// A CPU that says it is a GPU.
class Elsewhere : public cuda::CpuBackend {
 public:
  Elsewhere() : CpuBackend(1, cuda::best_isa()) {}
  bool is_gpu() const override { return true; }
};

class Evaluate : public testing::FolderTest {
 protected:
  Evaluate() : path_(path("prepared.h5")) {
    testing::MadeRatings source(users, items, rating_of);
    datasets::write_prepared(path_, datasets::collect(source, {}, folder_), {.test = 0.1, .validation = 0.1, .seed = 3},
                             {"{}", "hash"});
  }

  static FactorModel made_model(const datasets::Prepared& data) {
    FactorModel model = popularity_baseline(data);
    model.popularity_weight = 0;
    model.factors = factors;
    for (int64_t at = 0; at < data.users * factors; at++)
      model.user_factors.push_back(static_cast<float>(random_normal(3, at)));
    for (int64_t at = 0; at < data.items * factors; at++)
      model.item_factors.push_back(static_cast<float>(random_normal(4, at)));
    return model;
  }

  static Values values(const std::vector<Metric>& metrics) {
    Values values;
    for (const auto& [name, value] : metrics) values[name] = value;
    return values;
  }

  std::filesystem::path path_;
};

struct Expected {
  double squared = 0, recall = 0, reciprocal = 0;
  int64_t ratings = 0, counted = 0;
};

Expected naive(const datasets::Prepared& data, const FactorModel& model, int64_t k, double relevant_from) {
  Expected found;
  const auto known = read_users({&data.train, &data.validation}, 0, data.users);
  const auto truth = read_users(data.test, 0, data.users);
  for (int64_t user = 0; user < data.users; user++) {
    std::vector<int32_t> wanted;
    for (int64_t at = truth.offsets[user]; at < truth.offsets[user + 1]; at++) {
      const double error = model.rating(user, truth.items[at]) - truth.values[at];
      found.squared += error * error;
      found.ratings++;
      if (truth.values[at] >= relevant_from) wanted.push_back(truth.items[at]);
    }
    if (wanted.empty()) continue;
    std::vector<std::pair<double, int32_t>> scored;
    for (int32_t item = 0; item < data.items; item++) {
      const auto begin = known.items.begin() + known.offsets[user], end = known.items.begin() + known.offsets[user + 1];
      if (std::find(begin, end, item) != end) continue;
      double score = 0;
      for (int f = 0; f < factors; f++)
        score += static_cast<double>(model.user_rows().row(user)[f]) * model.item_rows().row(item)[f];
      scored.emplace_back(-score, item);
    }
    std::ranges::sort(scored);
    double hits = 0;
    for (size_t rank = 0; rank < scored.size() && static_cast<int64_t>(rank) < k; rank++) {
      if (!std::ranges::count(wanted, scored[rank].second)) continue;
      if (hits++ == 0) found.reciprocal += 1 / static_cast<double>(rank + 1);
    }
    found.recall += hits / static_cast<double>(wanted.size());
    found.counted++;
  }
  return found;
}

TEST_F(Evaluate, EqualsDoubleLoops) {
  const auto data = datasets::open_prepared(path_);
  const auto model = made_model(data);
  auto context = cuda::Context::cpu(2);
  const auto found = values(evaluate(context, model, data, HeldOut::test, {.at = {4}, .relevant_from = 3}));
  const auto expected = naive(data, model, 4, 3);
  ASSERT_LT(expected.counted, users);  // some have no relevant items
  EXPECT_NEAR(found.at("rmse"), std::sqrt(expected.squared / static_cast<double>(expected.ratings)), 1e-9);
  EXPECT_NEAR(found.at("recall@4"), expected.recall / static_cast<double>(expected.counted), 1e-6);
  EXPECT_NEAR(found.at("mrr@4"), expected.reciprocal / static_cast<double>(expected.counted), 1e-6);
}

TEST_F(Evaluate, NeitherThreadsNorRanksChangeABit) {
  const auto data = datasets::open_prepared(path_);
  const auto model = made_model(data);
  const EvaluationConfig config = {.at = {3, 10}, .relevant_from = 2.5};
  auto single = cuda::Context::cpu(1);
  const auto one = values(evaluate(single, model, data, HeldOut::test, config));
  EXPECT_EQ(one.size(), 20u);
  for (const int threads : {2, 3, 8}) {
    auto context = cuda::Context::cpu(threads);
    EXPECT_EQ(values(evaluate(context, model, data, HeldOut::test, config)), one) << threads << " threads";
  }
  cuda::Context elsewhere(std::make_unique<Elsewhere>());
  EXPECT_EQ(values(evaluate(elsewhere, model, data, HeldOut::test, config)), one);
  for (const int size : {2, 3, 7, 100}) {  // more ranks than blocks
    for (const auto& metrics : testing::on_threads(size, [&](Collective& ranks) {
           auto context = cuda::Context::cpu(1);
           return evaluate(context, model, data, HeldOut::test, config, ranks);
         })) {
      EXPECT_EQ(values(metrics), one) << size << " ranks";
    }
  }
}

// Counts the users that it ranks.
struct CountedModel : FactorModel {
  struct Counted : Scorer {
    Counted(std::unique_ptr<Scorer> scorer, int64_t& ranked) : scorer(std::move(scorer)), ranked(ranked) {}
    int64_t offered() const override { return scorer->offered(); }
    RankedItems rank(std::span<const int32_t> users, const cuda::IdLists& excluded, int64_t k) override {
      ranked += std::ssize(users);
      EXPECT_EQ(excluded.rows, std::ssize(users));
      return scorer->rank(users, excluded, k);
    }
    RankedItems rank(const UserRatings& ratings, const cuda::IdLists& excluded, int64_t k) override {
      return scorer->rank(ratings, excluded, k);
    }
    std::unique_ptr<Scorer> scorer;
    int64_t& ranked;
  };
  explicit CountedModel(FactorModel model) : FactorModel(std::move(model)) {}
  std::unique_ptr<Scorer> scorer(cuda::Context& context, ScorerOptions options) const override {
    return std::make_unique<Counted>(FactorModel::scorer(context, std::move(options)), ranked);
  }
  mutable int64_t ranked = 0;
};

TEST_F(Evaluate, RanksOnlyUsersWithRelevantItems) {
  const auto data = datasets::open_prepared(path_);
  const CountedModel model(made_model(data));
  auto context = cuda::Context::cpu(2);
  evaluate(context, model, data, HeldOut::test, {.at = {4}, .relevant_from = 5});
  EXPECT_EQ(model.ranked, naive(data, model, 4, 5).counted);
  model.ranked = 0;
  evaluate(context, model, data, HeldOut::test, {.at = {}});
  EXPECT_EQ(model.ranked, 0);
  EXPECT_EQ(values(evaluate(context, model, data, HeldOut::test, {.at = {4}, .relevant_from = 6})).size(), 2u)
      << "rmse and mae alone";
}

TEST_F(Evaluate, RatingsOfSeveralPartsAreMergedByItem) {
  const auto data = datasets::open_prepared(path_);
  const auto all = read_users({&data.train, &data.validation, &data.test}, 5, 100);
  const auto none = read_users(std::vector<const datasets::StoredRatings*>{}, 5, 100);
  EXPECT_EQ(none.users(), 100);
  EXPECT_TRUE(none.items.empty());
  int64_t entries = 0;
  for (const auto* part : {&data.train, &data.validation, &data.test}) {
    const auto one = read_users(*part, 5, 100);
    entries += std::ssize(one.items);
    for (int64_t user = 0; user < 100; user++) {
      for (int64_t at = one.offsets[user]; at < one.offsets[user + 1]; at++) {
        const auto begin = all.items.begin() + all.offsets[user], end = all.items.begin() + all.offsets[user + 1];
        const auto found = std::lower_bound(begin, end, one.items[at]);
        ASSERT_TRUE(found != end && *found == one.items[at]);
        EXPECT_EQ(all.values[found - all.items.begin()], one.values[at]);
      }
    }
  }
  EXPECT_EQ(std::ssize(all.items), entries);
  const auto middle = slice(all, 40, 42);
  EXPECT_THAT(middle.offsets, ElementsAre(0, all.offsets[41] - all.offsets[40], all.offsets[42] - all.offsets[40]));
  EXPECT_EQ(middle.items.front(), all.items[all.offsets[40]]);
  EXPECT_EQ(middle.values.back(), all.values[all.offsets[42] - 1]);
}

}  // namespace
}  // namespace sartor
