// Ranks that share a training have the state of one rank, bit for bit, and each has done a part of its work.
#include <gmock/gmock.h>

#include "base/random.h"
#include "interactions/write_prepared.h"
#include "models/factorization/algorithms.h"
#include "support/counting_cpu.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "support/thread_ranks.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t users = 230, items = 170;

// Items of low number have many ratings, those of high number few; enough for a grid of 4 blocks.
std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 400 < uint64_t(cell % items)) return {};
  return static_cast<float>(1 + random_bits(2, cell) % 5);
}

struct Trained {
  std::string state;
  std::vector<Metric> metrics;
  int64_t work = 0;
};

class SharedModels : public testing::FolderTest {
 protected:
  SharedModels() : path_(path("prepared.h5")) {
    testing::MadeRatings source(users, items, rating_of);
    datasets::write_prepared(path_, datasets::collect(source, {}, folder_), {.test = 0.2, .seed = 3}, {"{}", "hash"});
  }

  template <class Algorithm>
  Trained train(Collective& ranks, const typename Algorithm::Config& config, int threads) const {
    Trained done;
    cuda::Context context(std::make_unique<testing::CountingCpu>(threads, done.work));
    const auto data = datasets::open_prepared(path_);
    Algorithm algorithm(config, data, context, &ranks);
    for (int epoch = 0; epoch < 3 && epoch < algorithm.epochs(); epoch++) algorithm.train_epoch();
    done.metrics = algorithm.training_metrics();
    const std::string own = "state-" + std::to_string(ranks.rank());
    std::filesystem::create_directories(path(own));
    algorithm.save(path(own));
    done.state = read(own + "/state.h5");
    EXPECT_NE(algorithm.model(), nullptr);
    return done;
  }

  // share: of the work of one rank that a rank of `size` may do at most.
  template <class Algorithm>
  void expect_shared(const typename Algorithm::Config& config, const std::map<int, double>& most) const {
    Alone alone;
    const Trained one = train<Algorithm>(alone, config, 2);
    for (const auto& [size, share] : most) {
      const auto trained = testing::on_threads(size, [&](auto& ranks) { return train<Algorithm>(ranks, config, 1); });
      int64_t work = 0;
      for (const Trained& found : trained) {
        EXPECT_TRUE(found.state == one.state) << Algorithm::name << " on " << size;
        for (size_t at = 0; at < one.metrics.size(); at++) EXPECT_EQ(found.metrics[at].value, one.metrics[at].value);
        EXPECT_LE(double(found.work), share * double(one.work)) << Algorithm::name << " on " << size;
        work += found.work;
      }
      EXPECT_EQ(work, share < 1 ? one.work : size * one.work) << Algorithm::name << " on " << size;
    }
  }

  std::filesystem::path path_;
};

TEST_F(SharedModels, NeighborsAreThoseOfOneProcess) {
  ItemKnnConfig of_items;
  of_items.neighbors = 20;
  expect_shared<ItemKnn>(of_items, {{2, 0.8}, {3, 0.7}, {4, 0.6}, {200, 0.2}});
  UserKnnConfig of_users;
  of_users.values.similarity = NeighborSimilarity::pearson_baseline;
  of_users.values.keep_negative = true;
  of_users.values.min_support = 3;
  expect_shared<UserKnn>(of_users, {{2, 0.6}, {3, 0.4}, {4, 0.3}});
}

TEST_F(SharedModels, WeightsOfItemsAreThoseOfOneProcess) {
  expect_shared<Rp3beta>({.neighbors = 20}, {{2, 0.8}, {3, 0.7}, {4, 0.6}, {200, 0.2}});
  expect_shared<Turbocf>({.filter = TurboFilter::cubic, .exponent = 0.7}, {{2, 0.8}, {3, 0.7}});
}

TEST_F(SharedModels, BprIsThatOfOneProcess) {
  const BprConfig config = {.factors = 6, .candidates = 3, .threshold = 2.0f, .blocks = 8};
  expect_shared<Bpr>(config, {{2, 0.6}, {3, 0.45}, {8, 0.15}, {9, 1}});
}

// Contrastive.EachRankComputesItsPartOfABatch counts the work.
TEST_F(SharedModels, SimplexIsThatOfOneProcess) {
  SimplexConfig config = {.factors = 7, .margin = 0.1f, .negatives = 40, .batch = 50, .epochs = 3};
  expect_shared<Simplex>(config, {{2, 1}, {3, 1}, {4, 1}, {70, 1}});
  config.history_weight = 0.5f;
  config.threshold = 2.0f;
  expect_shared<Simplex>(config, {{3, 1}});
}

TEST_F(SharedModels, SgdIsThatOfOneProcess) {
  SgdConfig config;
  config.factors = 9;
  config.init_scale = 0.1f;
  expect_shared<Sgd>(config, {{2, 0.6}, {3, 0.6}, {4, 0.3}, {5, 1}});
  config.rates = LearningRates::adagrad;
  config.biased = false;
  expect_shared<Sgd>(config, {{3, 0.6}});
}

// A run of one process is continued by three.
TEST_F(SharedModels, RanksContinueTheStateOfOneProcess) {
  const auto check = [&]<class Algorithm>(std::type_identity<Algorithm>, const typename Algorithm::Config& config) {
    const auto data = datasets::open_prepared(path_);
    auto context = cuda::Context::cpu(2);
    Algorithm whole(config, data, context);
    whole.train_epoch();
    whole.save(folder_);
    const auto half = read("state.h5");
    whole.train_epoch();
    whole.save(folder_);
    const auto expected = read("state.h5");
    write("state.h5", half);
    for (const auto& state : testing::on_threads(3, [&](Collective& ranks) {
           auto own = cuda::Context::cpu(1);
           Algorithm algorithm(config, data, own, &ranks);
           algorithm.load(folder_);
           algorithm.train_epoch();
           const std::string name = "resumed-" + std::to_string(ranks.rank());
           std::filesystem::create_directories(path(name));
           algorithm.save(path(name));
           return read(name + "/state.h5");
         })) {
      EXPECT_TRUE(state == expected) << Algorithm::name;
    }
  };
  check(std::type_identity<Sgd>(), {});
  check(std::type_identity<Bpr>(), {.factors = 5});
  check(std::type_identity<Simplex>(), {.factors = 5, .negatives = 30});
}

TEST_F(SharedModels, RanksWhoDivergeSaySo) {
  SgdConfig config;
  config.learning_rate = 1e20f;
  EXPECT_THAT([&] { testing::on_threads(2, [&](Collective& ranks) { return train<Sgd>(ranks, config, 1); }); },
              ThrowsMessage<std::runtime_error>(HasSubstr("the model is no longer finite")));
}

}  // namespace
}  // namespace sartor
