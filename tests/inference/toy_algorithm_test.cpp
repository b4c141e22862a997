// A factorization algorithm defined in this file is trained, resumed, evaluated, saved, loaded and used for
// recommendations by the common code. It has no factors, predicts no ratings, and scores items by a user's history.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "engine/run_task.h"
#include "models/factorization/algorithms.h"
#include "models/factorization/model_file.h"
#include "schema/document.h"
#include "scoring/recommend.h"
#include "support/folder_test.h"
#include "tasks/data/prepare.h"
#include "tasks/factors/factorize.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

struct TogetherConfig {
  int64_t epochs = 2, minimum = 1;

  template <class Fields> void describe(Fields& field) {
    field("epochs", epochs, between(1, 2), "Parts in which users are counted, one per epoch.");
    field("minimum", minimum, at_least(1), "Minimum number of users who rated both items of a pair.");
  }
};

// score(history, i) = number of users who rated i and an item of the history, summed over the history
struct TogetherModel : TrainedModel {
  std::vector<float> together;  // (I, I)

  TogetherModel() { algorithm = "together"; }
  bool knows(int64_t user) const override { return !seen_by(user).empty(); }
  std::vector<double> predict(int64_t, const UserRatings&) const override { return {}; }
  std::string cannot_fold_in() const override { return ""; }
  std::unique_ptr<Scorer> scorer(cuda::Context&, ScorerOptions options) const override;

  int64_t size() const { return std::ssize(item_count); }
  float score(std::span<const int32_t> history, int32_t item) const {
    float sum = 0;
    for (const int32_t rated : history) sum += together[rated * size() + item];
    return sum;
  }

 protected:
  void write_learned(datasets::Hdf5File& file) const override { write_list(file, "together", together); }
  void read_learned(const datasets::Hdf5File& file) override {
    together = read_finite(file, "together", size() * size());
  }
};

class TogetherScorer : public Scorer {
 public:
  TogetherScorer(const TogetherModel& model, std::vector<int32_t> offered)
      : model_(model), offered_(std::move(offered)) {
    for (int32_t item = 0; offered_.empty() && item < model.size(); item++) all_.push_back(item);
  }
  int64_t offered() const override { return std::ssize(items()); }

  RankedItems rank(std::span<const int32_t> users, const cuda::IdLists& excluded, int64_t k) override {
    return rank_all(
        std::ssize(users), [&](int64_t user) { return model_.seen_by(users[user]); }, excluded, k);
  }
  RankedItems rank(const UserRatings& ratings, const cuda::IdLists& excluded, int64_t k) override {
    const auto history = [&](int64_t user) {
      return std::span(ratings.items).first(ratings.offsets[user + 1]).subspan(ratings.offsets[user]);
    };
    return rank_all(ratings.users(), history, excluded, k);
  }

 private:
  const std::vector<int32_t>& items() const { return offered_.empty() ? all_ : offered_; }

  template <class History>
  RankedItems rank_all(int64_t users, const History& history, const cuda::IdLists& excluded, int64_t k) const {
    RankedItems ranked = {k, std::vector<int32_t>(users * k, -1), std::vector<float>(users * k)};
    for (int64_t user = 0; user < users; user++) {
      const std::span left_out(excluded.ids + excluded.offsets[user], excluded.ids + excluded.offsets[user + 1]);
      std::vector<std::pair<float, int32_t>> scored;
      for (const int32_t item : items()) {
        if (!std::ranges::binary_search(left_out, item)) scored.emplace_back(-model_.score(history(user), item), item);
      }
      std::ranges::sort(scored);
      for (int64_t rank = 0; rank < std::min(k, std::ssize(scored)); rank++) {
        ranked.items[user * k + rank] = scored[rank].second;
        ranked.scores[user * k + rank] = -scored[rank].first;
      }
    }
    return ranked;
  }

  const TogetherModel& model_;
  std::vector<int32_t> offered_, all_;
};

std::unique_ptr<Scorer> TogetherModel::scorer(cuda::Context&, ScorerOptions options) const {
  return std::make_unique<TogetherScorer>(*this, std::move(options.offered));
}

class Together : public Factorizer {
 public:
  static constexpr std::string_view name = "together";
  using Config = TogetherConfig;
  using Model = TogetherModel;

  Together(const TogetherConfig& config, const datasets::Prepared& data, cuda::Context&)
      : config_(config),
        history_(read_users(data.train, 0, data.users)),
        items_(data.items),
        counts_(items_ * items_) {}

  int64_t epochs() const override { return config_.epochs; }

  void train_epoch() override {
    for (int64_t user = 0; user < history_.users(); user++) {
      if (user % config_.epochs != epoch_) continue;
      for (int64_t a = history_.offsets[user]; a < history_.offsets[user + 1]; a++) {
        for (int64_t b = history_.offsets[user]; b < history_.offsets[user + 1]; b++) {
          counts_[history_.items[a] * items_ + history_.items[b]]++;
        }
      }
    }
    epoch_++;
  }

  std::unique_ptr<TrainedModel> model() const override {
    auto model = std::make_unique<TogetherModel>();
    model->together = counts_;
    for (float& count : model->together) count = count < static_cast<float>(config_.minimum) ? 0 : count;
    for (int64_t item = 0; item < items_; item++) model->item_count.push_back(int64_t(counts_[item * items_ + item]));
    model->seen_offsets = history_.offsets;  // used for scores
    model->seen_items = history_.items;
    return model;
  }

  void save(const std::filesystem::path& folder) const override {
    auto file = datasets::Hdf5File::create(folder / "counts.h5");
    file.set_attribute("epoch", epoch_);
    write_list(file, "counts", counts_);
    file.close();
  }
  void load(const std::filesystem::path& folder) override {
    const auto file = datasets::Hdf5File::open(folder / "counts.h5");
    epoch_ = file.int_attribute("epoch");
    counts_ = read_list<float>(file, "counts", items_ * items_);
  }

 private:
  TogetherConfig config_;
  UserRatings history_;
  int64_t items_, epoch_ = 0;
  std::vector<float> counts_;  // (I, I)
};

using Algorithms = AlgorithmTable<Als, Together>;

class ToyAlgorithm : public testing::WorkingFolderTest {
 protected:
  // Users rate items of their own parity.
  ToyAlgorithm() {
    std::string rows = "user,item,rating\n";
    for (int user = 0; user < 20; user++) {
      for (int item = 0; item < 16; item++) {
        if (item % 2 != user % 2 || (user + item / 2) % 4 == 0) continue;
        rows += (user % 2 ? "用户" : "u") + std::to_string(user) + ",i" + std::to_string(item) + ",5\n";
      }
    }
    write("ratings.csv", rows);
    expect_done(
        "task: prepare\nsource: {path: ratings.csv, columns: {user: user, item: item, value: rating}}\n"
        "split: {method: random, test: 0.2, seed: 7}\noutput: prepared.h5\n");
  }

  static constexpr const char* factorize_config =
      "task: factorize\ndevice: cpu\nthreads: 1\ndata: {path: prepared.h5}\nmodel: {algorithm: together}\n"
      "evaluation: {at: [3]}\noutput: run\n";

  // Exit status and stderr.
  std::pair<int, std::string> run(const std::string& config, const std::vector<std::string>& more = {}) const {
    const std::string file = write("config.yaml", config);
    std::vector<const char*> words = {"toy", "--config", file.c_str()};
    for (const auto& word : more) words.push_back(word.c_str());
    const auto recommend = +[](const inference::RecommendConfig& config, Runtime& runtime) {
      inference::recommend(config, *Algorithms::load(config.model), runtime);
    };
    ::testing::internal::CaptureStderr();
    const int status =
        run_program({.name = "toy",
                     .summary = "Learns what is rated together.",
                     .examples = "",
                     .tasks = {task("prepare", Processes::one, "", prepare),
                               task("factorize", Processes::one, "", factorize_by<Algorithms>, {"model.epochs"}),
                               task("recommend", Processes::one, "", recommend)}},
                    static_cast<int>(words.size()), words.data());
    return {status, ::testing::internal::GetCapturedStderr()};
  }
  void expect_done(const std::string& config, const std::vector<std::string>& more = {}) const {
    const auto [status, said] = run(config, more);
    ASSERT_EQ(status, 0) << said;
  }
};

TEST_F(ToyAlgorithm, IsTrainedEvaluatedAndUsed) {
  expect_done(factorize_config);
  const auto results = nlohmann::json::parse(read("run/results.json"));
  EXPECT_GT(results["test"]["recall@3"], 0.9) << "users like the items of their own parity";
  EXPECT_LT(results["baselines"]["popularity"]["recall@3"], 0.2);
  EXPECT_FALSE(results["test"].contains("rmse")) << "it predicts no ratings";
  EXPECT_TRUE(results["baselines"]["user_mean"].contains("rmse"));

  write("new.csv", "user,item,rating\n新,i3,5\n");
  write("users.csv", "id\nu0\n新\n谁\n");
  expect_done(
      "task: recommend\ndevice: cpu\nmodel: run\nk: 1\nusers: {path: users.csv, column: id}\n"
      "new_users: {path: new.csv, columns: {user: user, item: item, value: rating}}\noutput: lists.csv\n");
  std::istringstream lines(read("lists.csv"));
  std::vector<std::string> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(line);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_THAT(rows[1], ::testing::MatchesRegex("u0,1,i1?[02468],.*,model"));
  EXPECT_THAT(rows[2], ::testing::MatchesRegex("新,1,i1?[13579],.*,ratings"));
  EXPECT_THAT(rows[3], ::testing::MatchesRegex("谁,1,.*,popularity"));
}

TEST_F(ToyAlgorithm, ComesBackFromItsCheckpointAndItsFile) {
  expect_done(factorize_config);
  const std::string whole = read("run/model/factors.h5");
  expect_done(factorize_config, {"--overwrite", "--set", "checkpoint={every: 1, keep: 9}"});
  std::filesystem::remove_all("run/model");
  std::filesystem::remove("run/results.json");
  std::filesystem::remove_all("run/checkpoints/epoch-000002");
  expect_done(factorize_config, {"--resume", "--set", "checkpoint={every: 1, keep: 9}"});
  EXPECT_TRUE(read("run/model/factors.h5") == whole);

  const auto model = Algorithms::load("run");
  EXPECT_EQ(model->algorithm, "together");
  EXPECT_EQ(dynamic_cast<const TogetherModel&>(*model).together.size(), 16u * 16u);
  EXPECT_THAT([] { FactorizationAlgorithms::load("run"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("factors.h5: the algorithm is together, expected als")));
}

TEST_F(ToyAlgorithm, HasFieldsOfItsOwn) {
  EXPECT_THAT(run(factorize_config, {"--set", "model.factors=3"}).second,
              HasSubstr("model.factors: unknown key, expected algorithm, epochs or minimum"));
  EXPECT_THAT(run(factorize_config, {"--set", "model.algorithm=als", "--set", "model.minimum=3"}).second,
              HasSubstr("model.minimum: unknown key"));
  EXPECT_THAT(run(factorize_config, {"--set", "model.algorithm=togther"}).second,
              HasSubstr("model.algorithm: found togther, expected als or together (did you mean together?)"));
  EXPECT_FALSE(std::filesystem::exists("run"));

  const std::string help = terminal_help(field_help<FactorizeConfigOf<Algorithms>>());
  EXPECT_THAT(help, HasSubstr("als: Latent dimensions"));
  EXPECT_THAT(help, HasSubstr("model.minimum = 1  (integer at least 1)\n    together: Minimum number of users"));
}

}  // namespace
}  // namespace sartor
