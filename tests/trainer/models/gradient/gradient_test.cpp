// SGD and SVD++ as algorithms: the order of the ratings, resuming, known solutions, folding in, files.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "core/gpu/module.h"
#include "interactions/write_prepared.h"
#include "models/factorization/algorithms.h"
#include "models/factorization/model_file.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "support/paths.h"
#include "support/thread_ranks.h"

namespace sartor {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t users = 61, items = 37;

// Item 0 has all ratings, items of high number have few.
std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 40 < uint64_t(cell % items)) return {};
  return static_cast<float>(1 + (random_bits(2, cell / items) + random_bits(3, cell % items)) % 5);
}

// The matrix of a known example.
std::optional<float> four_by_four(int64_t cell) {
  constexpr float ratings[] = {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5};
  return ratings[cell] > 0 ? std::optional(ratings[cell]) : std::nullopt;
}

class GradientTest : public testing::FolderTest {
 protected:
  std::string prepare(int64_t users, int64_t items, const std::function<std::optional<float>(int64_t)>& rating,
                      double test = 0) const {
    testing::MadeRatings source(users, items, rating);
    datasets::write_prepared(path("prepared.h5"), datasets::collect(source, {}, folder_), {.test = test, .seed = 3},
                             {"{}", "hash"});
    return path("prepared.h5");
  }
  std::string prepared() const { return prepare(users, items, rating_of, 0.2); }

  // A 2 epochs, another one that continues for 2, and one of 4 have the same factors.
  template <class Algorithm> void expect_resumed(typename Algorithm::Config config) const {
    auto context = cuda::Context::cpu(2);
    const auto data = datasets::open_prepared(prepared());
    Algorithm whole(config, data, context);
    for (int epoch = 0; epoch < 2; epoch++) whole.train_epoch();
    whole.save(folder_);
    for (int epoch = 0; epoch < 2; epoch++) whole.train_epoch();
    Algorithm resumed(config, data, context);
    resumed.load(folder_);
    for (int epoch = 0; epoch < 2; epoch++) resumed.train_epoch();
    const auto expected = whole.model(), found = resumed.model();
    EXPECT_TRUE(found->take_user_vectors().values == expected->take_user_vectors().values);
    EXPECT_TRUE(found->take_item_vectors().values == expected->take_item_vectors().values);
    EXPECT_EQ(resumed.training_metrics()[0].value, whole.training_metrics()[0].value);
  }

  static UserRatings ratings_of(const datasets::StoredRatings& stored) {
    UserRatings ratings = {.offsets = stored.offsets(), .items = {}, .values = {}};
    ratings.items.resize(stored.size());
    ratings.values.resize(stored.size());
    stored.read(0, stored.rows(), ratings.items, ratings.values);
    return ratings;
  }
};

SgdConfig sgd_config() {
  SgdConfig config;
  config.factors = 9;
  config.learning_rate = 0.02f;
  config.learning_rate_decay = 0.9f;
  config.init_scale = 0.1f;
  return config;
}
SvdppConfig svdpp_config() {
  SvdppConfig config;
  config.factors = 9;
  config.init_scale = 0.1f;
  config.batch_users = 7;
  return config;
}

TEST_F(GradientTest, GridHasEveryRatingOnceInItsCell) {
  const auto data = datasets::open_prepared(prepared());
  const auto ratings = ratings_of(data.train);
  for (const int64_t blocks : {1, 3, 8}) {
    const auto grid = shuffled_grid(data, 2, blocks, 5);
    std::vector<std::vector<std::pair<int32_t, float>>> found(users);
    std::vector<int64_t> of_block(blocks);
    for (int64_t cell = 0; cell < blocks * blocks; cell++) {
      for (int64_t at = grid.cells[cell]; at < grid.cells[cell + 1]; at++) {
        const auto [user, item, value] = grid.ratings[at];
        EXPECT_EQ(grid.user_block[user] * blocks + grid.item_block[item], cell);
        found[user].emplace_back(item, value + 2);
        of_block[cell / blocks]++;
      }
    }
    for (int64_t user = 0; user < users; user++) {
      std::ranges::sort(found[user]);
      std::vector<std::pair<int32_t, float>> expected;
      for (int64_t at = ratings.offsets[user]; at < ratings.offsets[user + 1]; at++) {
        expected.emplace_back(ratings.items[at], ratings.values[at]);
      }
      EXPECT_EQ(found[user], expected);
    }
    const double even = static_cast<double>(data.train.size()) / static_cast<double>(blocks);
    for (const int64_t ratings : of_block) EXPECT_NEAR(ratings, even, 40);
    EXPECT_EQ(shuffled_grid(data, 2, blocks, 5).ratings.front().user, grid.ratings.front().user);
  }
}

TEST_F(GradientTest, BlocksGrowWithTheRatings) {
  EXPECT_EQ(grid_blocks(1, false), 1);
  EXPECT_EQ(grid_blocks(80'000, false), 8);
  EXPECT_EQ(grid_blocks(1'000'000'000, false), 64);
  EXPECT_EQ(grid_blocks(80'000, true), 70);
}

TEST_F(GradientTest, OneThatResumesContinuesWithTheSameBits) {
  auto config = sgd_config();
  expect_resumed<Sgd>(config);
  config.rates = LearningRates::adagrad;
  expect_resumed<Sgd>(config);
  expect_resumed<Svdpp>(svdpp_config());
}

TEST_F(GradientTest, BitsDoNotDependOnTheNumberOfThreads) {
  const auto data = datasets::open_prepared(prepared());
  const auto factors = [&]<class Algorithm>(std::type_identity<Algorithm>, const auto& config, int threads) {
    auto context = cuda::Context::cpu(threads);
    Algorithm algorithm(config, data, context);
    for (int epoch = 0; epoch < 3; epoch++) algorithm.train_epoch();
    return algorithm.model()->take_item_vectors().values;
  };
  EXPECT_TRUE(factors(std::type_identity<Sgd>(), sgd_config(), 3) ==
              factors(std::type_identity<Sgd>(), sgd_config(), 1));
  EXPECT_TRUE(factors(std::type_identity<Svdpp>(), svdpp_config(), 3) ==
              factors(std::type_identity<Svdpp>(), svdpp_config(), 1));
}

TEST_F(GradientTest, RanksHaveTheModelOfOneProcess) {
  const auto path = prepared();
  auto config = sgd_config();
  const auto train = [&](cuda::Context context, Collective* ranks) {
    const auto data = datasets::open_prepared(path);
    Sgd sgd(config, data, context, ranks);
    for (int epoch = 0; epoch < 3; epoch++) sgd.train_epoch();
    return sgd.model()->take_user_vectors().values;
  };
  const auto one = train(cuda::Context::cpu(1), nullptr);
  config.deterministic = false;
  for (const auto& found :
       testing::on_threads(3, [&](Collective& ranks) { return train(cuda::Context::cpu(2), &ranks); })) {
    EXPECT_TRUE(found == one);
  }
}

TEST_F(GradientTest, EqualsSurpriseInTheSameOrder) {
  const auto golden = nlohmann::json::parse(std::ifstream(testing::source_path("tests/golden/surprise_svd.json")));
  const int64_t users = golden["ratings"].size(), items = golden["ratings"][0].size();
  const auto rating = [&](int64_t cell) -> std::optional<float> {
    const float rating = golden["ratings"][cell / items][cell % items];
    return rating > 0 ? std::optional(rating) : std::nullopt;
  };
  const auto data = datasets::open_prepared(prepare(users, items, rating));
  auto context = cuda::Context::cpu(2);
  for (const bool biased : {true, false}) {
    const auto& expected = golden[biased ? "biased" : "unbiased"];
    SgdConfig config;
    config.factors = golden["factors"];
    config.learning_rate = 0.02f;
    config.bias_learning_rate = 0.01f;
    config.regularization = 0.05f;
    config.bias_regularization = 0.03f;
    config.regularization_power = 1;
    config.biased = biased;
    config.shuffle = false;
    Sgd sgd(config, data, context);
    auto file = datasets::Hdf5File::create(path("state.h5"));
    file.set_schema("sartor.sgd_state", 1);
    file.set_attribute("epoch", int64_t{0});
    for (const std::string side : {"users", "items"}) {
      const std::vector<float> factors = expected["initial_" + side];
      const int64_t rows = std::ssize(factors) / config.factors;
      std::vector<float> padded(rows * 16);
      for (int64_t row = 0; row < rows; row++) {
        padded[row * 16 + (side == "users" ? 1 : 0)] = biased ? 1.0f : 0.0f;
        std::copy_n(factors.begin() + row * config.factors, config.factors, padded.begin() + row * 16 + 2);
      }
      write_list(file, side + "/rows", padded);
      write_list(file, side + "/squares", std::vector<float>());
    }
    file.close();
    sgd.load(folder_);
    for (int epoch = 0; epoch < golden["epochs"]; epoch++) sgd.train_epoch();
    const auto model = sgd.model();
    const auto& found = dynamic_cast<const SgdModel&>(*model);
    const auto expect_near = [](const std::vector<float>& found, const std::vector<float>& expected) {
      ASSERT_EQ(found.size(), expected.size());
      for (size_t at = 0; at < found.size(); at++) ASSERT_NEAR(found[at], expected[at], 2e-6) << at;
    };
    expect_near(found.user_factors, expected["users"]);
    expect_near(found.item_factors, expected["items"]);
    expect_near(found.user_bias, expected["user_bias"]);
    expect_near(found.item_bias, expected["item_bias"]);
  }
}

TEST_F(GradientTest, LearnsOnAGpuAsOnACpu) {
  std::string why_not;
  if (cuda::gpu_count(&why_not) == 0) GTEST_SKIP() << why_not;
  auto cpu = cuda::Context::cpu(1), gpu = cuda::Context::gpu();
  const auto data = datasets::open_prepared(prepared());
  const auto factors = [&](const SgdConfig& config, cuda::Context& context) {
    Sgd sgd(config, data, context);
    for (int epoch = 0; epoch < 3; epoch++) sgd.train_epoch();
    return sgd.model()->take_item_vectors().values;
  };
  for (const auto rates : {LearningRates::constant, LearningRates::adagrad}) {
    auto config = sgd_config();
    config.rates = rates;
    EXPECT_TRUE(factors(config, gpu) == factors(config, gpu)) << "the schedule is fixed";
    config.shuffle = false;  // one order on both
    const auto found = factors(config, gpu), expected = factors(config, cpu);
    for (size_t at = 0; at < found.size(); at++) ASSERT_NEAR(found[at], expected[at], 1e-5) << at;
  }
  EXPECT_THAT([&] { Svdpp(svdpp_config(), data, gpu); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("svdpp runs on CPUs only, expected device: cpu")));
}

TEST_F(GradientTest, WithoutFactorsTheLikelihoodOfPmfIsThatOfTheRatings) {
  const auto data = datasets::open_prepared(prepare(4, 4, four_by_four));
  auto context = cuda::Context::cpu(1);
  auto config = sgd_config();
  config.biased = false;
  config.init_scale = 0;
  Sgd sgd(config, data, context);
  sgd.train_epoch();
  EXPECT_EQ(sgd.training_metrics()[1].name, "log_likelihood");
  EXPECT_NEAR(sgd.training_metrics()[1].value, -111.027262, 5e-7);
  EXPECT_NEAR(sgd.training_metrics()[0].value, std::sqrt(200.0 / 12), 1e-12);
}

TEST_F(GradientTest, MeanIsLearnedFromTheRatingsAndBiasesOfBalancedOnesAreZero) {
  const auto data = datasets::open_prepared(prepare(4, 4, four_by_four));
  auto context = cuda::Context::cpu(1);
  auto config = sgd_config();
  config.init_scale = 0;
  config.regularization = 0;
  Sgd sgd(config, data, context);
  for (int epoch = 0; epoch < 200; epoch++) sgd.train_epoch();
  const auto model = sgd.model();
  const auto& found = dynamic_cast<const SgdModel&>(*model);
  EXPECT_EQ(found.mean, 4);
  EXPECT_THAT(found.user_bias, Each(::testing::FloatNear(0, 0.03f)));
  EXPECT_THAT(found.item_bias, Each(::testing::FloatNear(0, 0.03f)));
}

// At the minimum of the loss, alternating least squares finds the same factors.
TEST_F(GradientTest, FoldInOfATrainingUserGivesHerFactors) {
  const auto data = datasets::open_prepared(prepared());
  auto context = cuda::Context::cpu(1);
  const auto expect_folded = [&](Factorizer& algorithm) {
    for (int epoch = 0; epoch < 600; epoch++) algorithm.train_epoch();
    const auto model = algorithm.model();
    const auto& factors = dynamic_cast<const AlsModel&>(*model);
    const auto found = factors.fold_in(context, ratings_of(data.train));
    ASSERT_EQ(found.size(), factors.user_factors.size());
    for (size_t at = 0; at < found.size(); at++)
      ASSERT_NEAR(found[at], factors.user_factors[at], 0.01) << model->algorithm << ' ' << at;
  };
  auto config = sgd_config();
  config.factors = 3;
  config.learning_rate_decay = 0.99f;
  Sgd sgd(config, data, context);
  expect_folded(sgd);
  auto plusplus = svdpp_config();
  plusplus.factors = 3;
  plusplus.learning_rate = 0.02f;
  plusplus.learning_rate_decay = 0.99f;
  Svdpp svdpp(plusplus, data, context);
  expect_folded(svdpp);
}

TEST_F(GradientTest, ModelsComeBackFromTheirFiles) {
  const auto data = datasets::open_prepared(prepared());
  auto context = cuda::Context::cpu(2);
  const auto expect_same = [&](Factorizer& algorithm) {
    algorithm.train_epoch();
    const auto model = algorithm.model();
    model->users = data.read_user_ids();
    model->items = data.read_item_ids();
    model->seen_offsets.assign(users + 1, 0);
    model->save(folder_);
    const auto loaded = FactorizationAlgorithms::load(path("factors.h5"));
    EXPECT_EQ(loaded->algorithm, model->algorithm);
    const auto ratings = ratings_of(data.test);
    EXPECT_EQ(loaded->predict(0, ratings), model->predict(0, ratings));
    EXPECT_EQ(dynamic_cast<const AlsModel&>(*loaded).fold_in(context, ratings),
              dynamic_cast<const AlsModel&>(*model).fold_in(context, ratings));
  };
  Sgd sgd(sgd_config(), data, context);
  expect_same(sgd);
  Svdpp svdpp(svdpp_config(), data, context);
  expect_same(svdpp);
}

TEST_F(GradientTest, BrokenModelFilesAreRefused) {
  const auto data = datasets::open_prepared(prepared());
  auto context = cuda::Context::cpu(1);
  Svdpp svdpp(svdpp_config(), data, context);
  const auto expect_refused = [&](const std::string& what, auto change) {
    const auto trained = svdpp.model();
    auto& model = dynamic_cast<SvdppModel&>(*trained);
    model.users = data.read_user_ids();
    model.items = data.read_item_ids();
    model.seen_offsets.assign(users + 1, 0);
    change(model);
    EXPECT_THAT([&] { FactorizationAlgorithms::load(path("factors.h5")); },
                ThrowsMessage<std::invalid_argument>(::testing::AllOf(HasSubstr("factors.h5"), HasSubstr(what))));
  };
  expect_refused("items/implicit: value 3 is not finite", [&](SvdppModel& model) {
    model.implicit[3] = NAN;
    model.save(folder_);
  });
  expect_refused("items/implicit", [&](SvdppModel& model) {
    AlsModel without = model;
    without.algorithm = "svdpp";
    without.save(folder_);
  });
  expect_refused("the algorithm is svdp, expected als", [&](SvdppModel& model) {
    model.algorithm = "svdp";
    model.save(folder_);
  });
}

TEST_F(GradientTest, RowsWithoutRatingsStayZero) {
  const auto data = datasets::open_prepared(prepare(
      9, 4, [](int64_t cell) -> std::optional<float> { return static_cast<float>(cell % 5 + 1); }, 0.7));
  auto context = cuda::Context::cpu(2);
  Svdpp svdpp(svdpp_config(), data, context);
  Sgd sgd(sgd_config(), data, context);
  for (Factorizer* algorithm : std::initializer_list<Factorizer*>{&sgd, &svdpp}) {
    for (int epoch = 0; epoch < 3; epoch++) algorithm->train_epoch();
    const auto model = algorithm->model();
    for (int64_t user = 0; user < data.users; user++) {
      const bool rated = data.train.offsets()[user] < data.train.offsets()[user + 1];
      EXPECT_EQ(model->knows(user), rated) << user;
    }
  }
}

TEST_F(GradientTest, TrainingThatDivergesSaysSo) {
  const auto data = datasets::open_prepared(prepared());
  auto context = cuda::Context::cpu(1);
  auto config = sgd_config();
  config.learning_rate = 30;
  Sgd sgd(config, data, context);
  for (int epoch = 0; epoch < 20; epoch++) sgd.train_epoch();
  EXPECT_THAT([&] { sgd.model(); }, ThrowsMessage<std::runtime_error>(HasSubstr("the model is no longer finite")));
  EXPECT_THROW(sgd.save(folder_), std::runtime_error);
}

TEST_F(GradientTest, StatesOfOtherShapesAreRefused) {
  const auto data = datasets::open_prepared(prepared());
  auto context = cuda::Context::cpu(1);
  Sgd(sgd_config(), data, context).save(folder_);
  auto config = sgd_config();
  config.factors = 40;
  EXPECT_THAT([&] { Sgd(config, data, context).load(folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("users/rows: has")));
  EXPECT_THAT([&] { Svdpp(svdpp_config(), data, context).load(folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("sartor.svdpp_state")));
}

}  // namespace
}  // namespace sartor
