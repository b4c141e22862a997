// Rating metrics against values calculated by hand, ranking metrics against tests/golden/ranking.json
// (scripts/golden/metrics_optimization.py).
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "metrics/ranking.h"
#include "metrics/rating.h"
#include "support/paths.h"

namespace sartor {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;
using Ids = std::vector<int32_t>;
using Values = std::map<std::string, double>;

Values by_name(const std::vector<Metric>& metrics) {
  Values values;
  for (const auto& [name, value] : metrics) EXPECT_TRUE(values.emplace(name, value).second) << name << " twice";
  return values;
}

void expect_near(const Values& found, const Values& expected) {
  for (const auto& [name, value] : found)
    EXPECT_TRUE(expected.contains(name)) << name << " = " << value << " not expected";
  for (const auto& [name, value] : expected) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_NEAR(found.at(name), value, 1e-12 + 1e-12 * std::abs(value)) << name;
  }
}

TEST(RatingMetrics, EqualHandWorkedValues) {
  RatingMetrics metrics;
  EXPECT_THAT(metrics.finish(), IsEmpty());
  metrics.add(3.5, 4);
  metrics.add(2, 2);
  metrics.add(5, 3);
  expect_near(by_name(metrics.finish()), {{"rmse", std::sqrt(4.25 / 3)}, {"mae", 2.5 / 3}});
}

TEST(RatingMetrics, MergeAddsPairs) {
  RatingMetrics whole, left, right;
  for (int i = 0; i < 101; i++) {
    whole.add(i % 7, i % 5);
    (i < 13 ? left : right).add(i % 7, i % 5);
  }
  left.merge(right);
  left.merge({});
  expect_near(by_name(left.finish()), by_name(whole.finish()));
}

TEST(RatingMetrics, ShowADivergedModel) {
  RatingMetrics metrics;
  metrics.add(1, 1);
  metrics.add(std::numeric_limits<double>::quiet_NaN(), 1);
  EXPECT_TRUE(std::isnan(metrics.finish().front().value));
}

TEST(RankingMetrics, EqualGoldenFile) {
  const auto cases = nlohmann::json::parse(std::ifstream(sartor::testing::source_path("tests/golden/ranking.json")));
  ASSERT_GE(cases.size(), 14);
  for (const auto& example : cases) {
    SCOPED_TRACE(example.at("name").get<std::string>());
    const auto cutoffs = example.at("cutoffs").get<std::vector<int64_t>>();
    RankingMetrics all(cutoffs, example.at("items")), even = all, odd = all;
    bool turn = false;
    for (const auto& user : example.at("users")) {
      const auto ranked = user.at("ranked").get<Ids>(), relevant = user.at("relevant").get<Ids>();
      all.add(ranked, relevant);
      ((turn = !turn) ? odd : even).add(ranked, relevant);
    }
    const auto popularity = example.at("popularity").get<std::vector<int64_t>>();
    const auto expected = example.at("expected").get<Values>();
    expect_near(by_name(all.finish(popularity)), expected);
    even.merge(odd);
    EXPECT_EQ(even.users(), all.users());
    expect_near(by_name(even.finish(popularity)), expected);
  }
}

TEST(RankingMetrics, NdcgOfTheUsualExample) {
  RankingMetrics metrics({5}, 5);
  metrics.add(Ids{4, 3, 2, 1, 0}, Ids{2, 4});
  EXPECT_NEAR(by_name(metrics.finish(std::vector<int64_t>(5, 1))).at("ndcg@5"), .9197208, 1e-7);
}

TEST(RankingMetrics, CutoffsComeAscendingAndOnce) {
  RankingMetrics metrics({3, 1, 3}, 4);
  metrics.add(Ids{0, 1, 2}, Ids{1});
  const auto found = metrics.finish(std::vector<int64_t>(4, 1));
  ASSERT_EQ(found.size(), 18);
  EXPECT_EQ(found.front().name, "precision@1");
  EXPECT_EQ(found.back().name, "novelty@3");
}

TEST(RankingMetrics, NameWhatIsWrong) {
  const auto fault = [](const char* text) { return ThrowsMessage<std::invalid_argument>(HasSubstr(text)); };
  EXPECT_THAT([] { RankingMetrics({10, 0}, 5); }, fault("cutoff 0, expected at least 1"));

  RankingMetrics metrics({2}, 5);
  EXPECT_THAT([&] { metrics.add(Ids{1, 5}, Ids{1}); }, fault("item 5, expected 0..4"));
  EXPECT_THAT([&] { metrics.add(Ids{1, -2}, Ids{1}); }, fault("item -2, expected 0..4"));
  EXPECT_THAT([&] { metrics.add(Ids{1}, Ids{-1, 1}); }, fault("item -1, expected 0..4"));
  EXPECT_THAT([&] { metrics.add(Ids{1}, Ids{1, 7}); }, fault("item 7, expected 0..4"));
  EXPECT_EQ(metrics.users(), 0);
  EXPECT_THAT([&] { metrics.finish(std::vector<int64_t>(4)); }, fault("popularity of 4 items, expected 5"));
}

TEST(Metric, ErrorsAreBetterWhenLower) {
  for (const char* name : {"loss", "rmse", "log_loss", "perplexity"}) EXPECT_TRUE(lower_is_better(name)) << name;
  for (const char* name : {"accuracy", "roc_auc", "recall@10", ""}) EXPECT_FALSE(lower_is_better(name)) << name;
}

}  // namespace
}  // namespace sartor
