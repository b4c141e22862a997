// Classification metrics against scikit-learn's: tests/golden/classification.json
// (scripts/golden/metrics_optimization.py).
#include "metrics/classification.h"
#include "support/paths.h"

#include <gmock/gmock.h>

#include <algorithm>
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
  for (const auto& each :
       json::parse(std::ifstream(sartor::testing::source_path("tests/golden/classification.json")))) {
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
  // The normal approximation for an accuracy p of n rows is p +- 1.96 sqrt(p (1 - p) / n).
  const int64_t rows = 400;
  std::vector<int32_t> labels(rows);
  std::vector<float> probabilities(2 * rows);
  for (int64_t row = 0; row < rows; row++) {
    labels[row] = row % 2;
    const bool right = row % 5 != 0;  // 80%
    probabilities[2 * row + (right ? labels[row] : 1 - labels[row])] = 1;
  }
  const auto intervals = bootstrap_intervals({labels, probabilities, 2}, {.draws = 2000});
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
  const auto again = bootstrap_intervals({labels, probabilities, 2}, {.draws = 2000});
  EXPECT_EQ(again[0].low, accuracy.low);
}

TEST(Bootstrap, CountsEachRowAsOftenAsItIsDrawn) {
  // With the values 1, 10, 100 the sum identifies the rows of a sample.
  std::vector<double> sums;
  const auto sum_of = [&](std::span<const int32_t> weights) -> std::vector<Metric> {
    sums.push_back(weights[0] + 10 * weights[1] + 100 * weights[2]);
    return {{"sum", sums.back()}};
  };
  const auto found = bootstrap(3, sum_of, {.draws = 400, .level = 0.5, .seed = 3});
  ASSERT_EQ(sums.size(), 401);
  EXPECT_EQ(found[0].value, 111);
  std::vector<double> drawn(sums.begin(), sums.end() - 1);
  std::map<double, int> times;
  for (const double sum : drawn) times[sum]++;
  EXPECT_EQ(times.size(), 10) << "ways to draw 3 of 3";
  EXPECT_NEAR(times[111] / 400.0, 6.0 / 27, 0.07);
  EXPECT_NEAR(times[300] / 400.0, 1.0 / 27, 0.03);
  std::ranges::sort(drawn);
  EXPECT_NEAR(found[0].low, drawn[99] + 0.75 * (drawn[100] - drawn[99]), 1e-9);
  EXPECT_NEAR(found[0].high, drawn[299] + 0.25 * (drawn[300] - drawn[299]), 1e-9);
}

TEST(Bootstrap, WithoutDrawsThereIsTheValueAlone) {
  const auto found = bootstrap(2,
                               [](auto weights) {
                                 return std::vector<Metric>{{"n", 1.0 * weights[0] + weights[1]}};
                               },
                               {.draws = 0});
  EXPECT_THAT(found, ElementsAre(::testing::FieldsAre("n", 2, 2, 2)));
}

TEST(Calibration, BinsAddUpToTheError) {
  const std::vector<int32_t> labels = {0, 1, 1, 0, 1};
  const std::vector<float> probabilities = {0.9f, 0.1f, 0.92f, 0.08f, 0.2f, 0.8f, 0.55f, 0.45f, 0, 1};
  const Classified rows = {labels, probabilities, 2};
  const auto bins = calibration_bins(rows);
  ASSERT_EQ(bins.size(), 15);
  EXPECT_EQ(bins[13].rows, 2);  // 0.867 to 0.933
  EXPECT_NEAR(bins[13].confidence, 0.91, 1e-6);
  EXPECT_NEAR(bins[13].accuracy, 0.5, 1e-12);
  EXPECT_EQ(bins[14].rows, 1);
  EXPECT_EQ(bins[0].rows, 0);
  EXPECT_EQ(bins[0].confidence, 0);
  double error = 0;
  for (const auto& bin : bins) error += static_cast<double>(bin.rows) / 5 * std::abs(bin.confidence - bin.accuracy);
  EXPECT_NEAR(error, by_name(classification_metrics(rows)).at("calibration_error"), 1e-12);
}

TEST(MultiLabelMetrics, EqualHandWorkedValues) {
  // rows:            both       none          one wrong
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

TEST(MultiLabelMetrics, AWeightCountsARowSoOften) {
  const std::vector<float> labels = {1, 0, 0, 1, 1, 1}, probabilities = {0.9f, 0.6f, 0.1f, 0.8f, 0.7f, 0.2f};
  const std::vector<int32_t> weights = {2, 0, 1};
  const std::vector<float> repeated = {1, 0, 1, 0, 1, 1}, said = {0.9f, 0.6f, 0.9f, 0.6f, 0.7f, 0.2f};
  EXPECT_EQ(by_name(multi_label_metrics(labels, probabilities, 2, weights)),
            by_name(multi_label_metrics(repeated, said, 2)));
  EXPECT_THAT(multi_label_metrics(labels, probabilities, 2, std::vector<int32_t>(3)), IsEmpty());
  EXPECT_THAT([&] { multi_label_metrics(labels, probabilities, 2, std::vector<int32_t>(2)); },
              ThrowsMessage<std::invalid_argument>("2 weights for 3 rows"));
}

}  // namespace
}  // namespace sartor
