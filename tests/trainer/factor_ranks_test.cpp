// Several ranks find the factors and metrics of a single process, bit for bit.
#include <gmock/gmock.h>

#include <numeric>

#include "base/random.h"
#include "interactions/write_prepared.h"
#include "models/factorization/als/als.h"
#include "models/factorization/row_shares.h"
#include "support/elsewhere.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "support/thread_ranks.h"
#include "tasks/factors/evaluation.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using testing::Elsewhere;

constexpr int64_t users = 61, items = 37;

// Items of low number have many ratings, those of high number few; the last users have none in training.
std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 40 < uint64_t(cell % items)) return {};
  return static_cast<float>(1 + random_bits(2, cell) % 4001 / 1000.0);
}

class FactorRanks : public testing::FolderTest {
 protected:
  FactorRanks() : path_(path("prepared.h5")) {
    testing::MadeRatings source(users, items, rating_of);
    datasets::write_prepared(path_, datasets::collect(source, {}, folder_), {.test = 0.2, .validation = 0.2, .seed = 3},
                             {"{}", "hash"});
  }

  AlsModel train(Collective& ranks, cuda::Context context, const AlsConfig& config = {.factors = 5}) const {
    const auto data = datasets::open_prepared(path_);
    Als als(config, data, context, &ranks);
    for (int epoch = 0; epoch < 3; epoch++) als.train_epoch();
    return als.factors();
  }

  std::filesystem::path path_;
};

TEST_F(FactorRanks, FactorsAreThoseOfOneProcess) {
  for (const auto& config :
       {AlsConfig{.factors = 5}, AlsConfig{.factors = 20, .biases = false}, AlsConfig{.factors = 1}}) {
    Alone alone;
    const auto one = train(alone, cuda::Context::cpu(2), config);
    for (const int size : {2, 3, 4, 70}) {
      for (const auto& model :
           testing::on_threads(size, [&](Collective& ranks) { return train(ranks, cuda::Context::cpu(1), config); })) {
        EXPECT_TRUE(model.user_factors == one.user_factors && model.item_factors == one.item_factors) << size;
        EXPECT_TRUE(model.user_bias == one.user_bias && model.item_bias == one.item_bias) << size;
        EXPECT_EQ(model.item_count, one.item_count);
        EXPECT_EQ(model.mean, one.mean);
      }
    }
  }
}

TEST_F(FactorRanks, FactorsOnOtherDevicesTravelThroughTheHost) {
  Alone alone;
  const auto one = train(alone, cuda::Context::cpu(2));
  for (const auto& model : testing::on_threads(
           3, [&](Collective& ranks) { return train(ranks, cuda::Context(std::make_unique<Elsewhere>())); })) {
    EXPECT_TRUE(model.user_factors == one.user_factors && model.item_bias == one.item_bias);
  }
}

// More than a piece per rank, of different lengths; each rank copies only its own rows from the device.
TEST(GatherRows, PassesLongPartsInPieces) {
  const std::vector<int64_t> bounds = {0, 4'500'000, 4'500'000, 6'000'001};
  testing::on_threads(3, [&](Collective& ranks) {
    auto backend = std::make_unique<Elsewhere>();
    const auto& counted = *backend;
    cuda::Context context(std::move(backend));
    cuda::DeviceBuffer<float> values(context, bounds.back());
    std::fill_n(values.data(), values.size(), -1.f);
    const int64_t begin = bounds[ranks.rank()], end = bounds[ranks.rank() + 1];
    std::iota(values.data() + begin, values.data() + end, static_cast<float>(begin));
    gather_rows(ranks, context, bounds, 1, values);
    EXPECT_EQ(counted.copied, (end - begin) * sizeof(float));
    bool all = true;
    for (int64_t at = 0; at < values.size(); at++) all &= values.data()[at] == static_cast<float>(at);
    EXPECT_TRUE(all) << ranks.rank();
    return 0;
  });
}

TEST(GatherRows, OfASingleProcessMovesNothing) {
  auto backend = std::make_unique<Elsewhere>();
  const auto& counted = *backend;
  cuda::Context context(std::move(backend));
  cuda::DeviceBuffer<float> values(context, 10);
  Alone alone;
  gather_rows(alone, context, std::vector<int64_t>{0, 10}, 1, values);
  EXPECT_EQ(counted.copied, 0u);
}

TEST(RowShares, AreOfSimilarCost) {
  const auto offsets_of = [](const std::vector<int64_t>& counts) {
    std::vector<int64_t> offsets = {0};
    for (const int64_t count : counts) offsets.push_back(offsets.back() + count);
    return offsets;
  };
  EXPECT_THAT(row_shares(offsets_of({9, 9, 9, 9}), 4, 1), ElementsAre(0, 4));
  EXPECT_THAT(row_shares(offsets_of({9, 9, 9, 9}), 4, 2), ElementsAre(0, 2, 4));
  EXPECT_THAT(row_shares(offsets_of({1, 1, 1, 1, 1000}), 4, 2), ElementsAre(0, 5, 5));
  EXPECT_THAT(row_shares(offsets_of({0, 0, 0, 0}), 4, 4), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(row_shares(offsets_of({}), 4, 3), ElementsAre(0, 0, 0, 0));

  std::vector<int64_t> counts;  // popular rows first: the same number of rows would be a bad division
  for (int64_t row = 1; row <= 20000; row++) counts.push_back(200'000 / row);
  const auto offsets = offsets_of(counts);
  const auto cost = [&](int64_t begin, int64_t end) {  // of the normal equations: n f^2 above 64 ratings
    double sum = 0;
    for (int64_t row = begin; row < end; row++) {
      const auto n = double(counts[row]);
      sum += n >= 64 ? n * 64 * 64 / 2 + 64. * 64 * 64 / 6 : n * n * 64 / 2 + n * n * n / 6;
    }
    return sum;
  };
  const auto bounds = row_shares(offsets, 64, 4);
  for (int rank = 1; rank < 4; rank++) {  // the first row alone is an eighth of all ratings
    EXPECT_NEAR(cost(bounds[rank], bounds[rank + 1]) / cost(0, 20000), 0.25, 0.07) << rank;
  }
}

TEST_F(FactorRanks, MetricsAreThoseOfOneProcess) {
  Alone alone;
  const auto model = train(alone, cuda::Context::cpu(2));
  const auto data = datasets::open_prepared(path_);
  for (const auto& config : {EvaluationConfig{.at = {3, 10}, .relevant_from = 2.5}, EvaluationConfig{.at = {}}}) {
    for (const auto split : {HeldOut::validation, HeldOut::test}) {
      auto context = cuda::Context::cpu(2);
      const auto one = evaluate(context, model, data, split, config);
      EXPECT_EQ(one.size(), config.at.empty() ? 2u : 20u);
      for (const int size : {2, 4, 70}) {  // some without users
        for (const auto& metrics : testing::on_threads(size, [&](Collective& ranks) {
               auto context = cuda::Context::cpu(1);
               return evaluate(context, model, data, split, config, ranks);
             })) {
          ASSERT_EQ(metrics.size(), one.size());
          for (size_t at = 0; at < one.size(); at++) {
            EXPECT_EQ(metrics[at].name, one[at].name);
            EXPECT_EQ(metrics[at].value, one[at].value) << one[at].name << " on " << size << " ranks";
          }
        }
      }
    }
  }
}

TEST_F(FactorRanks, OneThatResumesContinuesWithTheOthers) {
  Alone alone;
  auto context = cuda::Context::cpu(2);
  const auto data = datasets::open_prepared(path_);
  Als whole({.factors = 5}, data, context);
  whole.train_epoch();
  whole.save(folder_);
  whole.train_epoch();
  for (const auto& model : testing::on_threads(3, [&](Collective& ranks) {
         auto context = cuda::Context::cpu(1);
         Als als({.factors = 5, .seed = 7}, data, context, &ranks);
         als.load(folder_);
         als.train_epoch();
         return als.factors();
       })) {
    EXPECT_TRUE(model.user_factors == whole.factors().user_factors);
    EXPECT_TRUE(model.item_bias == whole.factors().item_bias);
  }
}

}  // namespace
}  // namespace sartor
