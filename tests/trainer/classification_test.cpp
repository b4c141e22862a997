// Against golden/classification.json of scripts/make_golden.py, which asks scikit-learn.
#include "metrics/classification.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace sartor {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;
using Values = std::map<std::string, double>;

Values by_name(const std::vector<Metric>& metrics) {
  Values values;
  for (const auto& [name, value] : metrics) EXPECT_TRUE(values.emplace(name, value).second) << name << " twice";
  return values;
}

TEST(ClassificationMetrics, EqualScikitLearns) {
  for (const auto& each : json::parse(std::ifstream(SARTOR_SOURCE_DIR "/tests/golden/classification.json"))) {
    SCOPED_TRACE(each["name"].get<std::string>());
    const std::vector<int32_t> labels = each["labels"];
    const std::vector<float> probabilities = each["probabilities"];
    const Classified rows = {labels, probabilities, each["classes"]};
    EXPECT_EQ(confusion_matrix(rows), each["confusion"].get<std::vector<int64_t>>());
    const auto found = by_name(classification_metrics(rows));
    const Values expected = each["expected"];
    for (const auto& [name, value] : found) EXPECT_TRUE(expected.contains(name)) << name << " = " << value;
    for (const auto& [name, value] : expected) {
      ASSERT_TRUE(found.contains(name)) << name;
      EXPECT_NEAR(found.at(name), value, 1e-12 * (1 + std::abs(value))) << name;
    }
  }
}

TEST(ClassificationMetrics, FirstOfEqualProbabilitiesIsTheClass) {
  const std::vector<int32_t> labels = {0, 1};
  const std::vector<float> probabilities = {0.5f, 0.5f, 0.25f, 0.75f};
  EXPECT_THAT(predictions({labels, probabilities, 2}), ElementsAre(0, 1));
}

TEST(ClassificationMetrics, NoRowsGiveNone) {
  EXPECT_THAT(classification_metrics({{}, {}, 3}), IsEmpty());
  EXPECT_THAT(bootstrap_intervals({{}, {}, 3}), IsEmpty());
  EXPECT_THAT(multi_label_metrics({}, {}, 3), IsEmpty());
}

TEST(ClassificationMetrics, NameWhatIsWrong) {
  const std::vector<int32_t> labels = {0, 2};
  const std::vector<float> good = {1, 0, 0, 1};
  const auto expect = [](const Classified& rows, const std::string& message) {
    EXPECT_THAT([&] { classification_metrics(rows); }, ThrowsMessage<std::invalid_argument>(message));
  };
  expect({labels, good, 2}, "label 2 in row 1, expected 0 to 1");
  expect({labels, good, 3}, "4 probabilities for 2 labels of 3 classes");
  expect({labels, good, 1}, "found 1 classes, expected at least 2");
  const std::vector<float> bad = {1, 0, std::numeric_limits<float>::quiet_NaN(), 1};
  expect({std::span(labels).first(1), std::span(bad).last(2), 2}, "probability nan in row 0, expected 0 to 1");
}

TEST(ClassificationMetrics, IntervalsHoldWhatTheyShould) {
  // Accuracy of n rows, p right: the normal interval is p +- 1.96 sqrt(p (1 - p) / n).
  const int64_t rows = 400;
  std::vector<int32_t> labels(rows);
  std::vector<float> probabilities(2 * rows);
  for (int64_t row = 0; row < rows; row++) {
    labels[row] = row % 2;
    const bool right = row % 5 != 0;  // 80%
    probabilities[2 * row + (right ? labels[row] : 1 - labels[row])] = 1;
  }
  const auto intervals = bootstrap_intervals({labels, probabilities, 2}, 2000);
  const auto& accuracy = intervals[0];
  EXPECT_EQ(accuracy.name, "accuracy");
  EXPECT_DOUBLE_EQ(accuracy.value, 0.8);
  const double half = 1.96 * std::sqrt(0.8 * 0.2 / rows);
  EXPECT_NEAR(accuracy.low, 0.8 - half, 0.2 * half);
  EXPECT_NEAR(accuracy.high, 0.8 + half, 0.2 * half);
  for (const auto& each : intervals) {
    EXPECT_LE(each.low, each.value) << each.name;
    EXPECT_GE(each.high, each.value) << each.name;
  }
  const auto again = bootstrap_intervals({labels, probabilities, 2}, 2000);
  EXPECT_EQ(again[0].low, accuracy.low);
}

TEST(MultiLabelMetrics, EqualHandWorkedValues) {
  // rows:            both       none said     one wrong
  const std::vector<float> labels = {1, 1, 0, 1, 0, 0}, probabilities = {0.9f, 0.6f, 0.1f, 0.5f, 0.7f, 0.2f};
  const auto found = by_name(multi_label_metrics(labels, probabilities, 2));
  EXPECT_DOUBLE_EQ(found.at("accuracy"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(found.at("precision_micro"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.at("recall_micro"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.at("f1_micro"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.at("precision_macro"), (0.5 + 1) / 2);
  EXPECT_DOUBLE_EQ(found.at("recall_macro"), (1 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(found.at("f1_macro"), (2.0 / 3 + 2.0 / 3) / 2);
}

}  // namespace
}  // namespace sartor
