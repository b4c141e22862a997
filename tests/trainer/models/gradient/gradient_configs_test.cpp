// Configs of sgd and svdpp from start to end, and what they say about wrong ones.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "engine/run_task.h"
#include "models/factorization/algorithms.h"
#include "support/folder_test.h"
#include "tasks/data/prepare.h"
#include "tasks/factors/factorize.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class GradientConfigs : public testing::WorkingFolderTest {
 protected:
  GradientConfigs() {
    std::string rows = "user,item,rating\n";
    for (int user = 0; user < 20; user++) {
      for (int item = 0; item < 16; item++) {
        if ((user + item / 2) % 4 == 0) continue;
        rows += "用户" + std::to_string(user) + ",i" + std::to_string(item) + "," + (item % 2 == user % 2 ? "5" : "1");
        rows += "\n";
      }
    }
    write("ratings.csv", rows);
    EXPECT_EQ(run("task: prepare\nsource: {path: ratings.csv, columns: {user: user, item: item, value: rating}}\n"
                  "split: {method: random, test: 0.2, seed: 7}\noutput: prepared.h5\n")
                  .first,
              0);
  }

  static std::string config_with(const std::string& model) {
    return "task: factorize\ndevice: cpu\nthreads: 2\ndata: {path: prepared.h5}\nmodel: {" + model +
           "}\nevaluation: {at: [3]}\noutput: run\n";
  }

  // Exit status and stderr.
  std::pair<int, std::string> run(const std::string& config, const std::vector<std::string>& more = {}) const {
    const std::string file = write("config.yaml", config);
    std::vector<const char*> words = {"test", "--config", file.c_str()};
    for (const auto& word : more) words.push_back(word.c_str());
    ::testing::internal::CaptureStderr();
    const int status =
        run_program({.name = "test",
                     .summary = "",
                     .examples = "",
                     .tasks = {task("prepare", Processes::one, "", prepare),
                               task("factorize", Processes::one, "", factorize_by<FactorizationAlgorithms>, {})}},
                    static_cast<int>(words.size()), words.data());
    return {status, ::testing::internal::GetCapturedStderr()};
  }

  Json metrics_of(int epoch) const {
    std::istringstream lines(read("run/metrics.jsonl"));
    std::string line;
    for (int number = 0; number < epoch; number++) std::getline(lines, line);
    return Json::parse(line);
  }
};

TEST_F(GradientConfigs, LearnAndLogTheirTrainingError) {
  for (const std::string model :
       {"algorithm: sgd, factors: 4, learning_rate: 0.05, init_scale: 0.1, regularization: 0.1",
        "algorithm: svdpp, factors: 4, learning_rate: 0.02, init_scale: 0.1, regularization: 0.1, batch_users: 4"}) {
    const auto [status, said] = run(config_with(model + ", epochs: 80"), {"--overwrite"});
    ASSERT_EQ(status, 0) << said;
    const auto results = Json::parse(read("run/results.json"));
    EXPECT_LT(results["test"]["rmse"], 0.5) << model;
    EXPECT_LT(metrics_of(80)["train"]["rmse"], metrics_of(1)["train"]["rmse"]);
    EXPECT_LT(metrics_of(1)["train"]["log_likelihood"], metrics_of(80)["train"]["log_likelihood"]);
    const auto curve = read("run/metrics.jsonl");
    ASSERT_EQ(run(config_with(model + ", epochs: 80"), {"--overwrite", "--set", "threads=1"}).first, 0);
    EXPECT_EQ(Json::parse(read("run/results.json"))["test"], results["test"]) << "one seed, one curve";
  }
}

TEST_F(GradientConfigs, WrongOnesAreRefusedInOneLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"algorithm: sgdd", "model.algorithm: found sgdd"},
      {"algorithm: sgd, factors: 0", "model.factors: found 0"},
      {"algorithm: sgd, learning_rate: 0", "model.learning_rate: found 0"},
      {"algorithm: sgd, learning_rate: quick", "model.learning_rate: found quick"},
      {"algorithm: sgd, learning_rate_decay: 1.5", "model.learning_rate_decay: found 1.5"},
      {"algorithm: sgd, regularization: -1", "model.regularization: found -1"},
      {"algorithm: sgd, rates: adam", "model.rates: found adam, expected constant or adagrad"},
      {"algorithm: sgd, biased: 2", "model.biased: found 2"},
      {"algorithm: sgd, batch_users: 2", "model.batch_users: unknown key"},
      {"algorithm: sgd, epochs: 0", "model.epochs: found 0"},
      {"algorithm: svdpp, batch_users: 0", "model.batch_users: found 0"},
      {"algorithm: svdpp, rates: adagrad", "model.rates: unknown key"},
      {"algorithm: svdpp, 因子: 3", R"(model."因子": unknown key)"},
      {"algorithm: svdpp, regularization_power: 2", "model.regularization_power: found 2"},
      {"algorithm: svdpp, seed: -1", "model.seed: found -1"}};
  for (const auto& [model, message] : cases) {
    const auto [status, said] = run(config_with(model));
    EXPECT_EQ(status, 2) << model;
    EXPECT_THAT(said, HasSubstr(message));
    EXPECT_EQ(std::ranges::count(said, '\n'), 1) << said;
    EXPECT_FALSE(std::filesystem::exists("run"));
  }
}

}  // namespace
}  // namespace sartor
