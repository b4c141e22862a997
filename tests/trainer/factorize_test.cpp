// Early stopping and the interval of evaluations of task factorize, with a factorizer whose epochs are given.
#include "tasks/factors/factorize.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "interactions/write_prepared.h"
#include "schema/config.h"
#include "schema/document.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Json = nlohmann::json;

constexpr int64_t users = 40, items = 15;

std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 3 == 0) return {};
  return 3.f;
}

// Predicts 3 + the error of the epoch for all pairs.
class Given : public Factorizer {
 public:
  struct Crashed {};

  Given(const datasets::Prepared& data, std::vector<double> errors, int64_t crash_in = 0)
      : data_(data), errors_(std::move(errors)), crash_in_(crash_in) {}
  int64_t epochs() const override { return std::ssize(errors_); }
  void train_epoch() override {
    if (++epoch_ == crash_in_) throw Crashed();
  }
  std::unique_ptr<TrainedModel> model() const override {
    auto model = std::make_unique<FactorModel>(popularity_baseline(data_));
    model->algorithm = "given";
    model->rating_min = 0;
    model->rating_max = 100;
    model->mean = 3 + errors_.at(epoch_ - 1);
    return model;
  }
  void save(const std::filesystem::path& folder) const override { std::ofstream(folder / "epoch") << epoch_; }
  void load(const std::filesystem::path& folder) override { std::ifstream(folder / "epoch") >> epoch_; }

 private:
  const datasets::Prepared& data_;
  std::vector<double> errors_;
  int64_t crash_in_, epoch_ = 0;
};

class Factorize : public testing::FolderTest {
 protected:
  Factorize() {
    testing::MadeRatings source(users, items, rating_of);
    datasets::write_prepared(path("prepared.h5"), datasets::collect(source, {}, folder_),
                             {.test = 0.2, .validation = 0.2}, {"{}", "hash"});
  }

  FactorizeConfigOf<FactorizationAlgorithms> config(const std::string& more) const {
    const std::string text = "task: factorize\ndevice: cpu\ndata: {path: " + path("prepared.h5") +
                             "}\nmodel: {algorithm: als}\noutput: " + path("run") + "\n" + more;
    return read_config<FactorizeConfigOf<FactorizationAlgorithms>>(parse_document(text, "config.yaml"));
  }

  void train(const std::string& more, const std::vector<double>& errors, int64_t crash_in = 0, bool resume = false) {
    std::filesystem::remove_all(resume ? path("none") : path("run"));
    const auto parsed = config(more);
    Runtime runtime = make_runtime(parsed);
    sartor::Run run(
        {.folder = parsed.output, .config = parsed, .checkpoint = parsed.checkpoint, .start = {.resume = resume}});
    factorize(
        parsed, [&](const auto& data, auto&, auto&) { return std::make_unique<Given>(data, errors, crash_in); },
        runtime, run);
  }
  double rmse() const { return Json::parse(read("run/results.json"))["test"]["rmse"]; }

  // Epochs in metrics.jsonl, those without validation metrics negative.
  std::vector<int64_t> logged() const {
    std::ifstream lines(path("run/metrics.jsonl"));
    std::vector<int64_t> epochs;
    for (std::string line; std::getline(lines, line);) {
      const auto json = Json::parse(line);
      epochs.push_back(json["epoch"].get<int64_t>() * (json.contains("validation") ? 1 : -1));
    }
    return epochs;
  }
};

const std::string stopping = "evaluation: {at: []}\nearly_stopping: {metric: rmse, patience: 2}\n";

TEST_F(Factorize, StopsWithoutImprovementAndKeepsTheBestEpoch) {
  train(stopping, {5, 3, 4, 3, 1, 1});
  EXPECT_THAT(logged(), ElementsAre(1, 2, 3, 4));
  EXPECT_NEAR(rmse(), 3, 1e-9);
  train(stopping, {5, 3, 4, 2, 1.5, 2.5});  // all epochs; the last is not the best
  EXPECT_THAT(logged(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_NEAR(rmse(), 1.5, 1e-9);
}

TEST_F(Factorize, WithoutPatienceTheLastEpochIsTheResult) {
  train("evaluation: {at: []}\n", {5, 1, 4, 4});
  EXPECT_THAT(logged(), ElementsAre(1, 2, 3, 4));
  EXPECT_NEAR(rmse(), 4, 1e-9);
  EXPECT_FALSE(std::filesystem::exists(path("run/best")));
}

TEST_F(Factorize, SmallImprovementsDoNotCount) {
  train("evaluation: {at: []}\nearly_stopping: {metric: rmse, patience: 2, minimum_improvement: 0.5}\n",
        {5, 4, 3.75, 3.6, 1, 1});
  EXPECT_THAT(logged(), ElementsAre(1, 2, 3, 4));
  EXPECT_NEAR(rmse(), 4, 1e-9);
}

TEST_F(Factorize, EvaluatesEveryFewEpochsAndTheLast) {
  train("evaluation: {at: [], every: 3}\n", {5, 4, 3, 2, 1, 1, 1, 1});
  EXPECT_THAT(logged(), ElementsAre(-1, -2, 3, -4, -5, 6, -7, 8));
}

TEST_F(Factorize, ResumesToTheSameEnd) {
  for (const int64_t crash_in : {1, 2, 3, 4, 5, 6, 7}) {
    for (const std::string checkpoint : {"checkpoint: {every: 1}\n", "checkpoint: {every: 3}\n"}) {
      const std::vector<double> errors = {5, 3, 4, 2, 2.5, 2.25, 1};
      train(stopping + checkpoint, errors);
      const auto whole = read("run/results.json");
      ASSERT_THAT(logged(), ElementsAre(1, 2, 3, 4, 5, 6));
      if (crash_in > 6) continue;
      EXPECT_THROW(train(stopping + checkpoint, errors, crash_in), Given::Crashed);
      train(stopping + checkpoint, errors, 0, /*resume=*/true);
      EXPECT_EQ(read("run/results.json"), whole) << crash_in;
      EXPECT_THAT(logged(), ElementsAre(1, 2, 3, 4, 5, 6));
    }
  }
}

TEST_F(Factorize, NameWhatIsWrong) {
  const auto fails = [&](const std::string& more, const std::string& message) {
    EXPECT_THAT([&] { train(more, {1, 1, 1}); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
    EXPECT_FALSE(std::filesystem::exists(path("run")));
  };
  fails("evaluation: {at: [10, 20]}\nearly_stopping: {metric: recall@5, patience: 2}\n",
        "early_stopping.metric is recall@5, expected rmse, mae or a ranking metric at a cutoff of evaluation.at, such "
        "as ndcg@10");
  fails("early_stopping: {metric: 召回率, patience: 2}\n", "early_stopping.metric is 召回率, expected");
  fails("early_stopping: {patience: -1}\n", "early_stopping.patience");
  testing::MadeRatings source(users, items, rating_of);
  std::filesystem::remove(path("prepared.h5"));
  datasets::write_prepared(path("prepared.h5"), datasets::collect(source, {}, folder_), {.test = 0.2}, {"{}", "hash"});
  fails(stopping, "early_stopping requires validation ratings, " + path("prepared.h5") + " has none");
}

}  // namespace
}  // namespace sartor
