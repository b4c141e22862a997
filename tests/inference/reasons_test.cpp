// Recommendations of neighborhood models, with their reasons, from ratings to the table.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "engine/run_task.h"
#include "models/factorization/algorithms.h"
#include "scoring/recommend.h"
#include "support/folder_test.h"
#include "tasks/data/prepare.h"
#include "tasks/factors/factorize.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;

class ReasonsTest : public testing::WorkingFolderTest {
 protected:
  // Of the users 甲, 乙 and 丙, the first two have bought 茶 and 米; 甲 also 盐, 乙 also 糖.
  ReasonsTest() {
    write("买.csv", "user,item\n甲,茶\n甲,米\n甲,盐\n乙,茶\n乙,米\n乙,糖\n丙,布\n丙,糖\n");
    expect_done(
        "task: prepare\nsource: {path: 买.csv, columns: {user: user, item: item, value: \"\"}, fill: 1}\n"
        "split: {method: random, test: 0}\noutput: prepared.h5\n");
  }

  std::string factorize(const std::string& model) const {
    return "task: factorize\ndevice: cpu\nthreads: 2\ndata: {path: prepared.h5}\nmodel: " + model +
           "\nevaluation: {at: [2]}\noutput: run\n";
  }
  static constexpr const char* recommend_config =
      "task: recommend\ndevice: cpu\nmodel: run\nk: 1\noutput: lists.jsonl\n";

  // Exit status and stderr.
  std::pair<int, std::string> run(const std::string& config, const std::vector<std::string>& more = {}) const {
    const std::string file = write("config.yaml", config);
    std::vector<const char*> words = {"reasons", "--config", file.c_str()};
    for (const auto& word : more) words.push_back(word.c_str());
    const auto recommend =
        +[](const inference::RecommendConfig& config, Runtime& runtime) { inference::recommend(config, runtime); };
    ::testing::internal::CaptureStderr();
    const int status =
        run_program({.name = "reasons",
                     .summary = "",
                     .examples = "",
                     .tasks = {task("prepare", Processes::one, "", prepare),
                               task("factorize", Processes::one, "", factorize_by<FactorizationAlgorithms>),
                               task("recommend", Processes::one, "", recommend)}},
                    static_cast<int>(words.size()), words.data());
    return {status, ::testing::internal::GetCapturedStderr()};
  }
  void expect_done(const std::string& config, const std::vector<std::string>& more = {}) const {
    const auto [status, said] = run(config, more);
    ASSERT_EQ(status, 0) << said;
  }
  std::vector<nlohmann::json> lists() const {
    std::istringstream lines(read("lists.jsonl"));
    std::vector<nlohmann::json> rows;
    for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
    return rows;
  }
};

TEST_F(ReasonsTest, AreSimilarUsers) {
  expect_done(factorize("{algorithm: user_knn, prediction: sum}"));
  expect_done(recommend_config, {"--set", "reasons=2"});
  const auto rows = lists();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["item"], "糖");
  EXPECT_EQ(nlohmann::json::parse(rows[0]["reasons"].get<std::string>()),
            nlohmann::json::parse(R"([{"user": "乙", "share": 1.0}])"));
  EXPECT_EQ(rows[1]["item"], "盐");
}

TEST_F(ReasonsTest, AreItemsOfNewUsersToo) {
  expect_done(factorize("{algorithm: item_knn, prediction: sum}"));
  write("新.csv", "user,item\n新,盐\n新,茶\n");
  expect_done(recommend_config, {"--set", "reasons=2", "--set",
                                 "new_users={path: 新.csv, columns: {user: user, item: item, value: \"\"}, fill: 1}"});
  const auto rows = lists();
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[3]["user"], "新");
  EXPECT_EQ(rows[3]["item"], "米");
  EXPECT_EQ(rows[3]["basis"], "ratings");
  const auto reasons = nlohmann::json::parse(rows[3]["reasons"].get<std::string>());
  ASSERT_EQ(reasons.size(), 2u);
  EXPECT_EQ(reasons[0]["item"], "茶") << "bought together twice";
  EXPECT_NEAR(reasons[0]["share"].get<double>() + reasons[1]["share"].get<double>(), 1, 1e-3);
}

TEST_F(ReasonsTest, AreNotGivenWithoutAskingOrByFactors) {
  expect_done(factorize("{algorithm: item_knn, prediction: sum}"));
  expect_done(recommend_config);
  EXPECT_FALSE(lists()[0].contains("reasons"));
  expect_done(factorize("{algorithm: als, factors: 2, epochs: 1}"), {"--overwrite"});
  std::filesystem::remove("lists.jsonl");
  const auto [status, said] = run(recommend_config, {"--set", "reasons=2"});
  EXPECT_EQ(status, 2);
  EXPECT_THAT(said, HasSubstr("reasons is 2, but a model of algorithm als does not explain its scores"));
  EXPECT_FALSE(std::filesystem::exists("lists.jsonl"));
}

}  // namespace
}  // namespace sartor
