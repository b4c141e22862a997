// Evaluation of a classifier's predictions, and the files written, against values calculated by hand.
#include "tasks/texts/classifier_evaluation.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "support/folder_test.h"

namespace sartor {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using transformer::Problem;

class ClassifierEvaluation : public testing::FolderTest {
 protected:
  json evaluation(const Predictions& of, int64_t draws = 50) const {
    write_evaluation(folder_, {{"test", &of}, {"validation", &nothing_}}, {.draws = draws});
    return json::parse(read("evaluation.json"));
  }

  // The first and last rows are 好. The last is predicted as 坏, as is the middle one, whose probabilities are equal.
  const Predictions single_ = {.problem = Problem::single_label,
                               .classes = {"<坏>", "好"},
                               .sources = {4, 9, 2},
                               .labels = {0, 1, 1, 0, 0, 1},
                               .scores = {0.25f, 0.75f, 0.5f, 0.5f, 0.875f, 0.125f},
                               .loss = 0.5};
  const Predictions several_ = {.problem = Problem::multi_label,
                                .classes = {"a", "b"},
                                .sources = {0, 1, 2},
                                .labels = {1, 0, 1, 1, 0, 0},
                                .scores = {0.9f, 0.8f, 0.6f, 0.7f, 0.2f, 0.1f}};
  const Predictions number_ = {
      .problem = Problem::regression, .classes = {"value"}, .sources = {0, 1}, .labels = {1, 4}, .scores = {2, 1}};
  const Predictions nothing_ = {.classes = {"a", "b"}};
};

std::map<std::string, double> by_name(const std::vector<Metric>& metrics) {
  std::map<std::string, double> found;
  for (const auto& [name, value] : metrics) found[name] = value;
  return found;
}

TEST_F(ClassifierEvaluation, ScoresAreThoseOfTheProblem) {
  const std::vector<float> logits = {0, std::log(3.f), 1000, 1000};
  EXPECT_THAT(scores_of(Problem::single_label, logits, 2), ElementsAre(0.25f, 0.75f, 0.5f, 0.5f));
  EXPECT_THAT(scores_of(Problem::multi_label, logits, 2), ElementsAre(0.5f, 0.75f, 1, 1));
  EXPECT_THAT(scores_of(Problem::regression, logits, 1), ElementsAre(0, std::log(3.f), 1000, 1000));
}

TEST_F(ClassifierEvaluation, MetricsAreThoseOfTheProblem) {
  auto found = by_name(metrics_of(single_));
  EXPECT_EQ(found.at("loss"), 0.5);
  EXPECT_NEAR(found.at("accuracy"), 2.0 / 3, 1e-12);
  EXPECT_TRUE(found.contains("roc_auc"));
  found = by_name(metrics_of(several_));
  EXPECT_FALSE(found.contains("loss"));
  EXPECT_NEAR(found.at("accuracy"), 2.0 / 3, 1e-12);
  found = by_name(metrics_of(number_));
  EXPECT_DOUBLE_EQ(found.at("rmse"), std::sqrt(5));
  EXPECT_DOUBLE_EQ(found.at("mae"), 2);
  EXPECT_THAT(metrics_of(nothing_), IsEmpty());
}

TEST_F(ClassifierEvaluation, ATemperatureSaysWhatItChanges) {
  auto single = single_;
  single.logits = {0, 4, 0, 0, 3, 0};
  single.scores = scores_of(Problem::single_label, single.logits, 2);
  auto expected = by_name(metrics_of(single));
  single.temperature = fitted_temperature(single);
  ASSERT_TRUE(single.temperature);
  auto found = by_name(metrics_of(single));
  EXPECT_EQ(found.size(), expected.size() + 2);
  for (const auto& [name, value] : expected) EXPECT_EQ(found.at(name), value) << name;
  EXPECT_LT(found.at("log_loss_calibrated"), found.at("log_loss"));
  single.scores = scores_of(Problem::single_label, single.logits, 2, *single.temperature);
  single.temperature.reset();
  expected = by_name(metrics_of(single));
  EXPECT_EQ(found.at("log_loss_calibrated"), expected.at("log_loss"));
  EXPECT_EQ(found.at("calibration_error_calibrated"), expected.at("calibration_error"));

  auto several = several_;
  several.logits = {3, -2, -2, 1, 1, -1};
  several.scores = scores_of(Problem::multi_label, several.logits, 2);
  several.temperature = fitted_temperature(several);
  ASSERT_TRUE(several.temperature);
  found = by_name(metrics_of(several));
  EXPECT_LT(found.at("log_loss_calibrated"), found.at("log_loss"));
  EXPECT_TRUE(found.contains("calibration_error_calibrated"));
  EXPECT_FALSE(evaluation(several)["test"]["metrics"]["log_loss_calibrated"].contains("low"));
  EXPECT_FALSE(fitted_temperature(number_));
  EXPECT_FALSE(fitted_temperature(nothing_));
}

TEST_F(ClassifierEvaluation, FileSaysWhatPeopleAndScriptsNeed) {
  const auto found = evaluation(single_);
  EXPECT_EQ(found["intervals"], json({{"level", 0.95}, {"draws", 50}}));
  EXPECT_FALSE(found.contains("validation")) << "it has no rows";
  const auto& test = found["test"];
  EXPECT_EQ(test["rows"], 3);
  EXPECT_EQ(test["classes"], json({"<坏>", "好"}));
  EXPECT_EQ(test["confusion_matrix"], json({{1, 0}, {1, 1}}));
  EXPECT_EQ(test["metrics"]["loss"], json({{"value", 0.5}}));
  for (const auto& metric : metrics_of(single_)) {
    EXPECT_EQ(test["metrics"][metric.name]["value"], metric.value) << metric.name;
  }
  const auto& accuracy = test["metrics"]["accuracy"];
  EXPECT_LE(accuracy["low"], accuracy["value"]);
  EXPECT_GE(accuracy["high"], accuracy["value"]);
  int64_t rows = 0;
  for (const auto& bin : test["calibration"]) rows += bin["rows"].get<int64_t>();
  EXPECT_EQ(rows, 3);
  EXPECT_TRUE(std::filesystem::exists(path("test.parquet")));
  EXPECT_FALSE(std::filesystem::exists(path("validation.parquet")));
}

TEST_F(ClassifierEvaluation, SeveralLabelsAndNumbers) {
  const auto several = evaluation(several_)["test"];
  EXPECT_EQ(several["confusion_matrices"], json({{{1, 0}, {0, 2}}, {{1, 1}, {0, 1}}}));
  EXPECT_TRUE(several["metrics"]["f1_micro"].contains("low"));
  EXPECT_FALSE(several.contains("calibration"));
  std::filesystem::remove(path("test.parquet"));
  const auto number = evaluation(number_)["test"];
  EXPECT_EQ(number["metrics"]["mae"]["value"], 2);
  EXPECT_EQ(number["metrics"]["mae"]["low"], 1) << "some draw takes the first row twice";
  EXPECT_EQ(number["metrics"]["mae"]["high"], 3);
}

TEST_F(ClassifierEvaluation, WithoutDrawsThereAreNoIntervals) {
  EXPECT_EQ(evaluation(number_, 0)["test"]["metrics"]["mae"], json({{"value", 2.0}}));
}

}  // namespace
}  // namespace sartor
