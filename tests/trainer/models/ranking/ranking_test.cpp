// The algorithms bpr and simplex: training, resuming, files, folding in, and what the user does wrong.
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "engine/run_task.h"
#include "interactions/write_prepared.h"
#include "models/factorization/algorithms.h"
#include "models/factorization/factor_ranker.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "tasks/factors/factorize.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

constexpr int64_t users = 60, items = 40;

// Users choose items of their own parity; user 3 has taken everything, user 5 likes nothing.
std::optional<float> rating_of(int64_t cell) {
  const int64_t user = cell / items, item = cell % items;
  if (user == 3) return 5.f;
  if (user == 5) return item == 0 ? std::optional<float>(1) : std::nullopt;
  if (user % 2 != item % 2 || random_bits(1, cell) % 3 == 0) return {};
  return static_cast<float>(3 + random_bits(2, cell) % 3);
}

BprConfig bpr_config() { return {.factors = 6, .candidates = 2, .threshold = 2.0f, .blocks = 4, .epochs = 4}; }
SimplexConfig simplex_config() {
  return {.factors = 6,
          .margin = 0.3f,
          .negatives = 30,
          .batch = 7,
          .history_weight = 0.5f,
          .threshold = 2.0f,
          .epochs = 4};
}

class Ranking : public testing::WorkingFolderTest {
 protected:
  Ranking() { prepare("prepared.h5", rating_of); }

  void prepare(const std::string& name, const std::function<std::optional<float>(int64_t)>& rating) const {
    testing::MadeRatings source(users, items, rating);
    datasets::write_prepared(path(name), datasets::collect(source, {}, folder_), {.test = 0.2, .seed = 3},
                             {"{}", "hash"});
  }
  datasets::Prepared data() const { return datasets::open_prepared(path("prepared.h5")); }

  // The model after all epochs, or after those that a state in the folder leaves.
  template <class Algorithm> auto train(const typename Algorithm::Config& config, int threads, bool load = false) {
    auto context = cuda::Context::cpu(threads);
    const auto prepared = data();
    Algorithm algorithm(config, prepared, context);
    if (load) algorithm.load(folder_);
    for (int64_t epoch = load ? 2 : 0; epoch < config.epochs; epoch++) {
      algorithm.train_epoch();
      if (epoch == 1) algorithm.save(folder_);
    }
    return algorithm.factors();
  }

  template <class Algorithm> void expect_resumed(const typename Algorithm::Config& config) {
    const auto whole = train<Algorithm>(config, 1);
    auto other = config;
    const auto resumed = train<Algorithm>(other, 3, true);
    EXPECT_EQ(resumed.user_factors, whole.user_factors);
    EXPECT_EQ(resumed.item_factors, whole.item_factors);
    EXPECT_EQ(resumed.item_bias, whole.item_bias);
    EXPECT_THAT(whole.item_factors, Each(::testing::Truly([](float value) { return std::isfinite(value); })));
  }

  // Exit status and stderr of task factorize.
  std::pair<int, std::string> run(const std::string& model, const std::vector<std::string>& more = {}) const {
    const std::string file = write("配置.yaml",
                                   "task: factorize\ndevice: cpu\nthreads: 1\ndata: {path: prepared.h5}\n"
                                   "model: {" +
                                       model + "}\nevaluation: {at: [5]}\noutput: run\n");
    std::vector<const char*> words = {"sartor-train", "--config", file.c_str()};
    for (const auto& word : more) words.push_back(word.c_str());
    ::testing::internal::CaptureStderr();
    const int status = run_program(
        {.name = "sartor-train",
         .summary = "",
         .examples = "",
         .tasks = {task("factorize", Processes::one, "", factorize_by<FactorizationAlgorithms>, {"model.epochs"})}},
        static_cast<int>(words.size()), words.data());
    return {status, ::testing::internal::GetCapturedStderr()};
  }

  void expect_error(const std::string& model, const std::string& text) const {
    const auto [status, said] = run(model);
    EXPECT_EQ(status, 2) << model;
    EXPECT_THAT(said, HasSubstr(text));
    EXPECT_EQ(std::ranges::count(said, '\n'), 1) << said;
    EXPECT_FALSE(std::filesystem::exists(path("run/model")));
    std::filesystem::remove_all(path("run"));
  }
};

TEST_F(Ranking, TwoAndTwoEpochsAreFour) {
  expect_resumed<Bpr>(bpr_config());
  expect_resumed<Simplex>(simplex_config());
}

TEST_F(Ranking, LearnsWhatUsersChoose) {
  for (const std::string model :
       {"algorithm: bpr, factors: 8, candidates: 4, blocks: 2, epochs: 60, threshold: 2",
        "algorithm: simplex, factors: 8, margin: 0.5, negatives: 64, batch: 8, epochs: 30, threshold: 2",
        "algorithm: simplex, factors: 8, margin: 0.5, negatives: 64, batch: 8, epochs: 30, history_weight: 0.5"}) {
    const auto [status, said] = run(model, {"--overwrite"});
    ASSERT_EQ(status, 0) << said;
    const auto results = nlohmann::json::parse(read("run/results.json"));
    EXPECT_GT(results["test"]["recall@5"], 1.4 * results["baselines"]["popularity"]["recall@5"].get<double>()) << model;
    EXPECT_FALSE(results["test"].contains("rmse")) << "scores are not ratings";
  }
}

TEST_F(Ranking, UsersWhoLikeNothingAreUnknown) {
  const auto prepared = data();
  const int32_t user = prepared.read_user_ids().find("用户5"), other = prepared.read_user_ids().find("用户6");
  const auto bpr = train<Bpr>(bpr_config(), 2);
  const auto simplex = train<Simplex>(simplex_config(), 2);
  for (const FactorModel* model : {static_cast<const FactorModel*>(&bpr), static_cast<const FactorModel*>(&simplex)}) {
    EXPECT_FALSE(model->knows(user));
    EXPECT_TRUE(model->knows(other));
    EXPECT_TRUE(model->predict(0, {}).empty());
  }
}

TEST_F(Ranking, AUserWhoHasSeenEverythingGetsNothing) {
  const auto prepared = data();
  const std::vector<int32_t> both = {prepared.read_user_ids().find("用户3"), 0};
  std::vector<int32_t> all(items);
  std::iota(all.begin(), all.end(), 0);
  const std::vector<int64_t> offsets = {0, items, items};
  auto context = cuda::Context::cpu(1);
  const auto check = [&](const FactorModel& model) {
    FactorRanker ranker(context, model);
    const auto ranked = ranker.rank(both, {2, offsets.data(), all.data()}, items);
    EXPECT_THAT(ranked.of(0), Each(-1));
    EXPECT_THAT(ranked.of(1), Each(::testing::Ge(0)));
    EXPECT_THAT(std::span(ranked.scores).subspan(items), Each(Not(::testing::IsNan())));
  };
  check(train<Bpr>(bpr_config(), 1));
  check(train<Simplex>(simplex_config(), 1));
}

TEST_F(Ranking, FilesKeepTheModels) {
  const auto saved = [&](auto model) {
    const auto prepared = data();
    model.users = prepared.read_user_ids();
    model.items = prepared.read_item_ids();
    model.seen_offsets.assign(users + 1, 0);
    model.save(folder_);
    return FactorizationAlgorithms::load(path("factors.h5"));
  };
  const auto bpr = train<Bpr>(bpr_config(), 1);
  const auto bpr_back = saved(bpr);
  EXPECT_EQ(bpr_back->algorithm, "bpr");
  EXPECT_EQ(dynamic_cast<const BprModel&>(*bpr_back).item_bias, bpr.item_bias);
  EXPECT_EQ(bpr_back->cannot_fold_in(), "a model of algorithm bpr cannot fold in new users");

  const auto simplex = train<Simplex>(simplex_config(), 1);
  const auto simplex_back = saved(simplex);
  auto context = cuda::Context::cpu(1);
  const UserRatings ratings = {.offsets = {0, 3, 4}, .items = {1, 4, 9, 2}, .values = {5, 1, 4, 1}};
  const auto& back = dynamic_cast<const SimplexModel&>(*simplex_back);
  EXPECT_EQ(back.cannot_fold_in(), "");
  const auto folded = back.fold_in(context, ratings);
  EXPECT_EQ(folded, simplex.fold_in(context, ratings));
  std::vector<double> sum(6);
  double squares = 0;
  for (size_t f = 0; f < 6; f++) {
    sum[f] = double(simplex.item_rows().row(1)[f]) + simplex.item_rows().row(9)[f];  // item 4 is below the threshold
    squares += sum[f] * sum[f];
  }
  for (size_t f = 0; f < 6; f++) EXPECT_NEAR(folded[f], sum[f] / std::sqrt(squares), 1e-6);
  EXPECT_THAT(std::vector(folded.begin() + 6, folded.end()), Each(0)) << "no rating counts";
}

// With all of the history and no vector of her own, a training user's vector is the one that folds her in.
TEST_F(Ranking, FoldInOfATrainingUserGivesHerVector) {
  auto config = simplex_config();
  config.history_weight = 1;
  config.threshold = {};
  const auto model = train<Simplex>(config, 2);
  auto context = cuda::Context::cpu(1);
  const auto prepared = data();
  EXPECT_EQ(model.fold_in(context, read_users(prepared.train, 0, users)), model.user_factors);
}

TEST_F(Ranking, TheHistoryMayHaveAnotherWeightAfterTraining) {
  auto config = simplex_config();
  const auto same = train<Simplex>(config, 1);
  config.ranking_history_weight = config.history_weight;
  EXPECT_EQ(train<Simplex>(config, 1).user_factors, same.user_factors);
  config.threshold = {};
  config.ranking_history_weight = 1;
  const auto model = train<Simplex>(config, 1);
  auto context = cuda::Context::cpu(1);
  const auto prepared = data();
  EXPECT_EQ(model.fold_in(context, read_users(prepared.train, 0, users)), model.user_factors);
}

TEST_F(Ranking, MistakesInBprAreToldInOneLine) {
  expect_error("algorithm: bpr, factors: 0", "model.factors: found 0, expected");
  expect_error("algorithm: bpr, factors: 2.5", "model.factors");
  expect_error("algorithm: bpr, learning_rate: 0", "model.learning_rate: found 0, expected");
  expect_error("algorithm: bpr, learning_rate: 快", "model.learning_rate");
  expect_error("algorithm: bpr, regularization: -1", "model.regularization: found -1, expected");
  expect_error("algorithm: bpr, candidates: 257", "model.candidates: found 257, expected");
  expect_error("algorithm: bpr, blocks: 0", "model.blocks: found 0, expected");
  expect_error("algorithm: bpr, schedule: lineal", "model.schedule: found lineal, expected constant or linear");
  expect_error("algorithm: bpr, epochs: 0", "model.epochs: found 0, expected");
  expect_error("algorithm: bpr, margin: 0.5", "model.margin: unknown key");
  expect_error("algorithm: bpr, threshold: 9", "there are no training ratings of at least model.threshold");
}

TEST_F(Ranking, ATrainingThatDivergesSaysSo) {
  const auto [status, said] = run("algorithm: bpr, learning_rate: 1e30");
  EXPECT_EQ(status, 1);
  EXPECT_THAT(said, HasSubstr("the model is no longer finite"));
  EXPECT_FALSE(std::filesystem::exists(path("run/model")));
}

TEST_F(Ranking, MistakesInSimplexAreToldInOneLine) {
  expect_error("algorithm: simplex, factors: 65537", "model.factors: found 65537, expected");
  expect_error("algorithm: simplex, learning_rate: -1", "model.learning_rate: found -1, expected");
  expect_error("algorithm: simplex, margin: 1.1", "model.margin: found 1.1, expected");
  expect_error("algorithm: simplex, negative_weight: -2", "model.negative_weight: found -2, expected");
  expect_error("algorithm: simplex, negatives: 0", "model.negatives: found 0, expected");
  expect_error("algorithm: simplex, batch: 0", "model.batch: found 0, expected");
  expect_error("algorithm: simplex, history_weight: 1.5", "model.history_weight: found 1.5, expected");
  expect_error("algorithm: simplex, ranking_history_weight: 2", "model.ranking_history_weight: found 2, expected");
  expect_error("algorithm: simplex, candidates: 3", "model.candidates: unknown key");
  expect_error("algorithm: simplex, seed: -1", "model.seed: found -1, expected");
  expect_error("algorithm: simplx", "model.algorithm: found simplx, expected");
  expect_error("algorithm: simplex, threshold: 9", "there are no training ratings of at least model.threshold");
}

TEST_F(Ranking, AStateOfAnotherShapeIsRefused) {
  auto context = cuda::Context::cpu(1);
  const auto prepared = data();
  Bpr(bpr_config(), prepared, context).save(folder_);
  auto config = bpr_config();
  config.factors = 7;
  EXPECT_THAT([&] { Bpr(config, prepared, context).load(folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("values, expected")));
  EXPECT_THAT([&] { Simplex(simplex_config(), prepared, context).load(folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("sartor.simplex_state")));
}

}  // namespace
}  // namespace sartor
