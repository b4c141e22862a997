// Training and evaluation on a prepared file: ALS against ridge regressions in double, metrics against double loops.
#include <gmock/gmock.h>
#include <unistd.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>

#include "base/random.h"
#include "core/cpu_backend.h"
#include "interactions/write_prepared.h"
#include "models/factorization/als/als.h"
#include "operations.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "tasks/factors/evaluation.h"

namespace sartor {
namespace {

using datasets::Prepared;

constexpr int64_t users = 23, items = 17;

// Ratings from 1 to 5 for slightly more than half of the user-item pairs.
std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 5 < 2) return {};
  return static_cast<float>(1 + random_bits(2, cell) % 5);
}

class OnPreparedData : public testing::FolderTest {
 protected:
  OnPreparedData() : path_(path("prepared.h5")) {
    testing::MadeRatings source(users, items, rating_of);
    datasets::write_prepared(path_, datasets::collect(source, {}, folder_), {.test = 0.2, .validation = 0.2, .seed = 3},
                             {"{}", "hash"});
  }

  struct Entry {
    int64_t user, item;
    double value;
  };
  static std::vector<Entry> entries(const datasets::StoredRatings& ratings) {
    std::vector<int32_t> columns(ratings.size());
    std::vector<float> values(ratings.size());
    ratings.read(0, ratings.rows(), columns, values);
    std::vector<Entry> all;
    for (int64_t user = 0; user < ratings.rows(); user++) {
      for (int64_t at = ratings.offsets()[user]; at < ratings.offsets()[user + 1]; at++)
        all.push_back({user, columns[at], values[at]});
    }
    return all;
  }
  static double mean(const std::vector<Entry>& all) {
    double sum = 0;
    for (const auto& each : all) sum += each.value;
    return sum / static_cast<double>(all.size());
  }

  std::filesystem::path path_;
  cuda::Context context_ = cuda::Context::cpu(2);
};

TEST(AlsConfig, HasTheDefaultsOfTheOperation) {
  const cuda::AlsParams params = AlsConfig().params(), expected;
  EXPECT_EQ(params.regularization, expected.regularization);
  EXPECT_EQ(params.bias_regularization, expected.bias_regularization);
  EXPECT_EQ(params.regularization_power, expected.regularization_power);
}

TEST_F(OnPreparedData, AlsSolvesRidgeRegressionsInTurn) {
  const Prepared data = datasets::open_prepared(path_);
  const AlsConfig config = {
      .factors = 3, .regularization = 0.4f, .bias_regularization = 0.1f, .regularization_power = 0.5f};
  Als model(config, data, context_);
  const auto train = entries(data.train);
  const double mu = mean(train);
  const FactorModel before = model.factors();
  EXPECT_NEAR(before.mean, mu, 1e-9);
  model.train_epoch();
  const FactorModel after = model.factors();

  for (int64_t user = 0; user < data.users; user++) {  // with the item factors from before the epoch
    std::vector<Entry> mine;
    std::ranges::copy_if(train, std::back_inserter(mine), [&](const Entry& each) { return each.user == user; });
    const auto count = static_cast<Eigen::Index>(mine.size());
    Eigen::MatrixXd features(count, 4);
    Eigen::VectorXd targets(count);
    for (Eigen::Index r = 0; r < count; r++) {
      const float* item = before.item_rows().row(mine[r].item);
      features.row(r) << item[0], item[1], item[2], 1;
      targets[r] = mine[r].value - mu - before.item_bias[mine[r].item];
    }
    const Eigen::Vector4d weights(0.4, 0.4, 0.4, 0.1);
    const Eigen::Matrix4d normal = features.transpose() * features +
                                   Eigen::Matrix4d((weights * std::sqrt(static_cast<double>(count))).asDiagonal());
    const Eigen::Vector4d solution = normal.ldlt().solve(features.transpose() * targets);
    for (int f = 0; f < 3; f++) EXPECT_NEAR(after.user_rows().row(user)[f], solution[f], 1e-4) << "user " << user;
    EXPECT_NEAR(after.user_bias[user], solution[3], 1e-4) << "user " << user;
  }
}

// A backend that knows whether operations are still running.
class BusyBackend : public cuda::CpuBackend {
 public:
  BusyBackend() : CpuBackend(1, cuda::best_isa()) {}

  const cuda::Operations& operations() const override {
    static constexpr cuda::Operations table = {.topk = nullptr, .als_update = start};
    return table;
  }
  void synchronize() override { busy = false; }

  static inline bool busy = false;

 private:
  static void start(cuda::Context&, const cuda::AlsTask&) { busy = true; }
};

TEST_F(OnPreparedData, AnEpochOfAlsIsDoneWhenItReturns) {
  const Prepared data = datasets::open_prepared(path_);
  cuda::Context context(std::make_unique<BusyBackend>());
  Als model({.factors = 3}, data, context);
  BusyBackend::busy = true;
  model.train_epoch();
  EXPECT_FALSE(BusyBackend::busy) << "a timer around it would time only the launches";
}

TEST_F(OnPreparedData, AlsComesBackFromItsCheckpointBitForBit) {
  const Prepared data = datasets::open_prepared(path_);
  const auto folder = path_.string() + ".checkpoint";
  std::filesystem::create_directory(folder);
  Als model({.factors = 5}, data, context_), other({.factors = 5, .seed = 1}, data, context_),
      wide({.factors = 6}, data, context_);
  model.train_epoch();
  model.save(folder);
  model.train_epoch();
  other.load(folder);
  other.train_epoch();
  EXPECT_EQ(other.factors().user_factors, model.factors().user_factors);
  EXPECT_EQ(other.factors().item_bias, model.factors().item_bias);
  EXPECT_THAT([&] { wide.load(folder); }, ::testing::ThrowsMessage<std::invalid_argument>(
                                              ::testing::HasSubstr("users/factors: has 115 values, expected 138")));
  std::filesystem::remove_all(folder);
}

TEST_F(OnPreparedData, WithoutBiasesThereAreNone) {
  const Prepared data = datasets::open_prepared(path_);
  Als model({.factors = 2, .biases = false}, data, context_);
  model.train_epoch();
  EXPECT_THAT(model.factors().user_bias, ::testing::Each(0.f));
  EXPECT_FALSE(model.factors().biases);
}

double metric(const std::vector<Metric>& metrics, const std::string& name) {
  const auto found = std::ranges::find(metrics, name, &Metric::name);
  return found == metrics.end() ? NAN : found->value;
}

TEST_F(OnPreparedData, MetricsAreThoseOfDoubleLoops) {
  const Prepared data = datasets::open_prepared(path_);
  Als als({.factors = 3}, data, context_);
  als.train_epoch();
  const FactorModel model = als.factors();
  const auto found = evaluate(context_, model, data, HeldOut::test, {.at = {3}, .relevant_from = 4});

  std::map<int64_t, std::vector<int64_t>> known, relevant;
  for (const auto* part : {&data.train, &data.validation}) {
    for (const auto& each : entries(*part)) known[each.user].push_back(each.item);
  }
  double squared = 0, absolute = 0;
  const auto test = entries(data.test);
  for (const auto& each : test) {
    const double error = model.rating(each.user, each.item) - each.value;
    squared += error * error;
    absolute += std::abs(error);
    if (each.value >= 4) relevant[each.user].push_back(each.item);
  }
  EXPECT_NEAR(metric(found, "rmse"), std::sqrt(squared / static_cast<double>(test.size())), 1e-9);
  EXPECT_NEAR(metric(found, "mae"), absolute / static_cast<double>(test.size()), 1e-9);

  double recall = 0;
  for (const auto& [user, wanted] : relevant) {
    std::vector<std::pair<double, int64_t>> scored;
    for (int64_t item = 0; item < data.items; item++) {
      if (std::ranges::count(known[user], item)) continue;
      double score = model.item_bias[item];
      for (int f = 0; f < 3; f++)
        score += static_cast<double>(model.user_rows().row(user)[f]) * model.item_rows().row(item)[f];
      scored.emplace_back(-score, item);
    }
    std::ranges::sort(scored);
    double hits = 0;
    for (size_t rank = 0; rank < 3 && rank < scored.size(); rank++)
      hits += std::ranges::count(wanted, scored[rank].second) > 0;
    recall += hits / static_cast<double>(wanted.size());
  }
  EXPECT_NEAR(metric(found, "recall@3"), recall / static_cast<double>(relevant.size()), 1e-9);
}

TEST_F(OnPreparedData, BaselinesAreCountsAndMeans) {
  const Prepared data = datasets::open_prepared(path_);
  const auto train = entries(data.train);
  const FactorModel popular = popularity_baseline(data), means = user_mean_baseline(data);
  for (int64_t item = 0; item < data.items; item++) {
    EXPECT_EQ(popular.item_count[item], std::ranges::count(train, item, &Entry::item));
  }
  for (int64_t user = 0; user < data.users; user++) {
    std::vector<Entry> mine;
    std::ranges::copy_if(train, std::back_inserter(mine), [&](const Entry& each) { return each.user == user; });
    EXPECT_NEAR(means.rating(user, 0), mine.empty() ? mean(train) : mean(mine), 1e-6);
    EXPECT_NEAR(popular.rating(user, 0), mean(train), 1e-6);
  }
  EXPECT_FALSE(std::isnan(metric(evaluate(context_, popular, data, HeldOut::validation, {}), "ndcg@10")));
}

}  // namespace
}  // namespace sartor
