// Bayesian matrix factorization as an algorithm: accuracy, spread, side information, ranks, resuming, folding in.
#include "models/factorization/bayesian/bpmf.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"
#include "interactions/write_prepared.h"
#include "models/factorization/algorithms.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "support/thread_ranks.h"
#include "tasks/factors/evaluation.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t users = 90, items = 61;

double trait(int64_t seed, int64_t row) { return random_normal(seed, row); }

// Half of the pairs; a rating is a bias of each, a product of traits, and noise of deviation 0.3. The item's first
// trait depends on its number modulo 3.
std::optional<float> rating_of(int64_t cell) {
  const int64_t user = cell / items, item = cell % items;
  if (random_bits(1, cell) % 2) return {};
  const double product =
      0.5 * trait(2, user) * (static_cast<double>(item % 3) - 1) + 0.3 * trait(3, user) * trait(4, item);
  return static_cast<float>(3 + 0.4 * trait(5, user) + 0.4 * trait(6, item) + product + 0.3 * random_normal(7, cell));
}

class BpmfTest : public testing::FolderTest {
 protected:
  BpmfTest() : path_(prepare("prepared.h5", rating_of)) {}

  std::string prepare(const std::string& name, const std::function<std::optional<float>(int64_t)>& rating) const {
    testing::MadeRatings source(users, items, rating);
    datasets::write_prepared(path(name), datasets::collect(source, {}, folder_), {.test = 0.3, .seed = 3},
                             {"{}", "hash"});
    return path(name);
  }
  BpmfModel train(const BpmfConfig& config, Collective& ranks, cuda::Context context) const {
    const auto data = datasets::open_prepared(path_);
    Bpmf bpmf(config, data, context, &ranks);
    for (int64_t epoch = 0; epoch < config.epochs; epoch++) bpmf.train_epoch();
    return bpmf.factors();
  }
  BpmfModel train(const BpmfConfig& config) const {
    Alone alone;
    return train(config, alone, cuda::Context::cpu(2));
  }
  double rmse(const TrainedModel& model) const {
    auto context = cuda::Context::cpu(2);
    return evaluate(context, model, datasets::open_prepared(path_), HeldOut::test, {.at = {}}).front().value;
  }
  FeatureTableConfig item_table() const {
    std::string rows = "id,kind\n";
    for (int64_t item = 0; item < items; item++) {
      rows += "i" + std::to_string(item) + ",类" + std::to_string(item % 3) + "\n";
    }
    FeatureTableConfig config;
    config.table.path = write("items.csv", rows);
    config.id = "id";
    config.categories = {"kind"};
    return config;
  }
  std::string save(BpmfModel model) const {
    const auto data = datasets::open_prepared(path_);
    model.users = data.read_user_ids();
    model.items = data.read_item_ids();
    model.seen_offsets.assign(users + 1, 0);
    model.save(folder_);
    return path("factors.h5");
  }

  static BpmfConfig small() { return {.factors = 3, .epochs = 60, .burn_in = 12, .keep_every = 4}; }
  std::string path_;
};

TEST_F(BpmfTest, PredictsBetterThanTheMean) {
  const auto baseline = rmse(user_mean_baseline(datasets::open_prepared(path_)));
  const auto model = train(small());
  EXPECT_EQ(model.samples, 12);
  EXPECT_EQ(model.factors, 36);
  EXPECT_LT(rmse(model), 0.6 * baseline);
  EXPECT_LT(rmse(model), 0.45);
  EXPECT_GT(rmse(train({.factors = 3, .biases = false, .epochs = 60, .burn_in = 12, .keep_every = 4})), 0.3);
}

TEST_F(BpmfTest, SpreadIsThatOfTheSamplesAndCoversTheTruth) {
  auto config = small();
  config.epochs = 300;
  const auto model = train(config);
  const auto data = datasets::open_prepared(path_);
  const auto truth = read_users(data.test, 0, data.users);
  int64_t within = 0;
  for (int64_t user = 0; user < data.users; user++) {
    const auto rated = std::span(truth.items).first(truth.offsets[user + 1]).subspan(truth.offsets[user]);
    const auto spread = model.spread(user, rated);
    ASSERT_EQ(spread.size(), rated.size());
    for (size_t i = 0; i < rated.size(); i++) {
      EXPECT_GT(spread[i], 0);
      const double deviation = std::sqrt(spread[i] * spread[i] + 1 / model.noise_precision.back());
      within += std::abs(model.rating(user, rated[i]) - truth.values[truth.offsets[user] + i]) < 1.645 * deviation;
    }
  }
  EXPECT_NEAR(static_cast<double>(within) / static_cast<double>(truth.items.size()), 0.9, 0.04);

  // Of one pair by hand.
  double sum = 0, squares = 0;
  for (int64_t sample = 0; sample < model.samples; sample++) {
    double rating =
        model.user_sample_bias[5 * model.samples + sample] + model.item_sample_bias[7 * model.samples + sample];
    for (int64_t i = sample * 3; i < sample * 3 + 3; i++) {
      rating += model.samples * double(model.user_rows().row(5)[i]) * model.item_rows().row(7)[i];
    }
    sum += rating / model.samples;
    squares += rating * rating / model.samples;
  }
  EXPECT_NEAR(model.spread(5, std::vector<int32_t>{7})[0], std::sqrt(squares - sum * sum), 1e-6);
  EXPECT_NEAR(model.rating(5, 7), std::clamp(model.mean + sum, model.rating_min, model.rating_max), 1e-5);
}

TEST_F(BpmfTest, SamplesAreThoseOfOneProcess) {
  auto config = small();
  config.epochs = 16;
  config.item_features = item_table();
  const auto one = train(config);
  for (const int size : {2, 4, 100}) {
    for (const auto& model :
         testing::on_threads(size, [&](Collective& ranks) { return train(config, ranks, cuda::Context::cpu(1)); })) {
      EXPECT_TRUE(model.user_factors == one.user_factors && model.item_factors == one.item_factors) << size;
      EXPECT_TRUE(model.user_bias == one.user_bias && model.noise_precision == one.noise_precision) << size;
    }
  }
  config.seed = 7;
  EXPECT_FALSE(train(config).user_factors == one.user_factors);
}

TEST_F(BpmfTest, OneThatResumesContinuesWithTheSameBits) {
  auto context = cuda::Context::cpu(2);
  const auto data = datasets::open_prepared(path_);
  BpmfConfig config = {.factors = 2, .epochs = 4, .burn_in = 1, .keep_every = 1, .item_features = item_table()};
  for (const int saved_at : {1, 2}) {
    Bpmf whole(config, data, context);
    for (int sweep = 1; sweep <= 4; sweep++) {
      whole.train_epoch();
      if (sweep == saved_at) whole.save(folder_);
    }
    for (const auto& model : testing::on_threads(3, [&](Collective& ranks) {
           auto own = cuda::Context::cpu(1);
           Bpmf bpmf(config, data, own, &ranks);
           bpmf.load(folder_);
           for (int sweep = saved_at; sweep < 4; sweep++) bpmf.train_epoch();
           return bpmf.factors();
         })) {
      EXPECT_EQ(model.samples, 3);
      EXPECT_TRUE(model.user_factors == whole.factors().user_factors);
      EXPECT_TRUE(model.item_factors == whole.factors().item_factors);
      EXPECT_TRUE(model.prior_precision == whole.factors().prior_precision);
    }
  }
}

// Items 50 and later have two training ratings each, in a file of its own.
TEST_F(BpmfTest, SideInformationHelpsWithFewRatings) {
  path_ = prepare("few.h5", [](int64_t cell) {
    return cell % items >= 30 && random_bits(8, cell) % 8 ? std::nullopt : rating_of(cell);
  });
  auto config = small();
  config.epochs = 200;
  const double without = rmse(train(config));
  config.item_features = item_table();
  const double with = rmse(train(config));
  EXPECT_LT(with, 0.98 * without);
}

TEST_F(BpmfTest, FoldInOfATrainingUserPredictsAsTheModelDoes) {
  auto config = small();
  config.epochs = 300;
  const auto model = train(config);
  auto context = cuda::Context::cpu(2);
  const auto data = datasets::open_prepared(path_);
  const auto folded = model.fold_in(context, read_users(data.train, 0, users));
  double difference = 0, size = 0;
  for (int64_t user = 0; user < users; user++) {
    for (int64_t item = 0; item < items; item++) {
      double of_folded = 0, of_model = 0;
      for (int64_t i = 0; i < model.factors; i++) {
        of_folded += folded[user * model.factors + i] * model.item_rows().row(item)[i];
        of_model += model.user_rows().row(user)[i] * model.item_rows().row(item)[i];
      }
      difference += (of_folded - of_model) * (of_folded - of_model);
      size += of_model * of_model;
    }
  }
  EXPECT_LT(difference, 0.05 * size);
}

TEST_F(BpmfTest, FileKeepsTheSamplesAndWhatFoldingInNeeds) {
  for (const bool biases : {true, false}) {
    const auto model = train({.factors = 2, .biases = biases, .epochs = 6, .burn_in = 2, .keep_every = 2});
    const auto back = FactorizationAlgorithms::load(save(model));
    ASSERT_EQ(back->algorithm, "bpmf");
    const auto& read = dynamic_cast<const BpmfModel&>(*back);
    EXPECT_EQ(read.samples, 2);
    EXPECT_EQ(read.user_factors, model.user_factors);
    EXPECT_EQ(read.spread(3, std::vector<int32_t>{1, 2}), model.spread(3, std::vector<int32_t>{1, 2}));
    auto context = cuda::Context::cpu(1);
    const UserRatings ratings = {.offsets = {0, 2, 2}, .items = {1, 4}, .values = {1, 5}};
    EXPECT_EQ(read.fold_in(context, ratings), model.fold_in(context, ratings));
    EXPECT_EQ(back->cannot_fold_in(), "");
    EXPECT_FALSE(back->knows(0)) << "the file lists no ratings";
  }
  auto broken = train({.factors = 2, .epochs = 4, .burn_in = 0, .keep_every = 1});
  broken.noise_precision.pop_back();
  EXPECT_THAT([&] { FactorizationAlgorithms::load(save(broken)); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("noise_precision: has 3 values, expected 4")));
  broken.noise_precision.push_back(-1);
  EXPECT_THAT([&] { FactorizationAlgorithms::load(save(broken)); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("noise_precision has a value that is not above 0")));
  broken.samples = 3;
  EXPECT_THAT([&] { FactorizationAlgorithms::load(save(broken)); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("has 8 factors for 3 samples")));
}

TEST_F(BpmfTest, ErrorsNameWhatDoesNotFit) {
  const auto data = datasets::open_prepared(path_);
  const BpmfConfig none = {.epochs = 30, .burn_in = 28, .keep_every = 3};
  EXPECT_THAT([&] { none.check(); }, ThrowsMessage<std::invalid_argument>(
                                         HasSubstr("epochs is 30, expected at least burn_in + keep_every = 31")));

  auto context = cuda::Context::cpu(1);
  Bpmf saved({.factors = 2, .epochs = 4, .burn_in = 0, .keep_every = 1}, data, context);
  saved.train_epoch();
  saved.save(folder_);
  Bpmf other({.factors = 3, .epochs = 4, .burn_in = 0, .keep_every = 1}, data, context);
  EXPECT_THAT([&] { other.load(folder_); }, ThrowsMessage<std::invalid_argument>(HasSubstr("expected")));
}

}  // namespace
}  // namespace sartor
