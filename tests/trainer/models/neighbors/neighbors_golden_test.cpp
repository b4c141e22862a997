// Similarities and predictions of user_knn and item_knn against worked examples, Surprise and implicit.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "neighbors_support.h"
#include "support/paths.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using Rule = NeighborPrediction;
using Similarity = NeighborSimilarity;

constexpr auto co_rated = MissingRatings::co_rated;

class NeighborsGoldenTest : public NeighborsTest {};

NeighborsConfig rule(Rule prediction, std::optional<int64_t> k = {}) {
  return {.prediction = {.prediction = prediction, .k = k}};
}

// Users A, B, C and D, of whom the others' similarities with A are 0.8, 0.6 and 0.48.
TEST_F(NeighborsGoldenTest, PredictionsOfAllRules) {
  const auto data = prepare(s2);
  EXPECT_NEAR(predicted(train<UserKnn>(data, rule(Rule::mean)), 0, "i3"), 4, 1e-6);
  EXPECT_NEAR(predicted(train<UserKnn>(data, rule(Rule::weighted_mean)), 0, "i3"), 3.829787, 1e-6);
  EXPECT_NEAR(predicted(train<UserKnn>(data, rule(Rule::weighted_mean, 2)), 0, "i3"), 3.428571, 1e-6);
  EXPECT_NEAR(score(train<UserKnn>(data, rule(Rule::sum)), 0, "i3"), 7.2, 1e-5);
  // All users and items have the mean 4, so that their biases are 0.
  EXPECT_NEAR(predicted(train<UserKnn>(data, rule(Rule::centred)), 0, "i3"), 4 - 0.32 / 1.88, 1e-6);
  EXPECT_NEAR(predicted(train<UserKnn>(data, rule(Rule::baseline)), 0, "i3"), 4 - 0.32 / 1.88, 1e-6);
  // The matrix is symmetric.
  EXPECT_NEAR(predicted(train<ItemKnn>(data, rule(Rule::weighted_mean)), 0, "i3"), 3.829787, 1e-6);
}

TEST_F(NeighborsGoldenTest, SimilaritiesOfUsers) {
  const auto data = prepare(s2);
  const auto of_first = [&](Similarity kind, MissingRatings missing) {
    const auto model =
        train<UserKnn>(data, {.values = {.similarity = kind, .missing = missing, .keep_negative = true}});
    return std::vector{similarity(model, 0, 1), similarity(model, 0, 2), similarity(model, 0, 3)};
  };
  const auto near = [](double x, double y, double z) {
    return ElementsAre(FloatNear(x, 1e-5), FloatNear(y, 1e-5), FloatNear(z, 1e-5));
  };
  EXPECT_THAT(of_first(Similarity::cosine, MissingRatings::zero), near(0.8, 0.6, 0.48));
  EXPECT_THAT(of_first(Similarity::cosine, co_rated), near(0.975610, 0.882353, 0.96));
  EXPECT_THAT(of_first(Similarity::pearson, co_rated), near(-1, -1, -1));
  EXPECT_THAT(of_first(Similarity::pearson, MissingRatings::zero), near(0, -1, 0));
  EXPECT_THAT(of_first(Similarity::jaccard, MissingRatings::zero), near(0.5, 0.5, 0.5));
  EXPECT_THAT(of_first(Similarity::msd, co_rated), near(0.5, 0.2, 0.5));
}

TEST_F(NeighborsGoldenTest, AdjustedCosineIsNotPearson) {
  const RatingTable table = {{5, 3, 4, 4}, {3, 1, 2, 3}, {4, 3, 4, 3}, {3, 3, 1, 5}, {1, 5, 5, 2}};
  const auto of_first = [&](const RatingTable& ratings, Similarity kind, MissingRatings missing) {
    const auto model =
        train<ItemKnn>(prepare(ratings), {.values = {.similarity = kind, .missing = missing, .keep_negative = true}});
    return std::vector{similarity(model, 0, 1), similarity(model, 0, 2), similarity(model, 0, 3)};
  };
  const auto near = [](double x, double y, double z) {
    return ElementsAre(FloatNear(x, 1e-4), FloatNear(y, 1e-4), FloatNear(z, 1e-4));
  };
  for (const auto missing : {MissingRatings::zero, co_rated}) {
    EXPECT_THAT(of_first(table, Similarity::adjusted_cosine, missing), near(-0.9638, -0.5442, 0.4720));
    EXPECT_THAT(of_first(table, Similarity::pearson, missing), near(-0.4767, -0.1231, 0.5322));
    EXPECT_THAT(of_first(s2, Similarity::adjusted_cosine, missing), near(0, -1, 0));
  }
  EXPECT_THAT(of_first(s2, Similarity::pearson, co_rated), near(-1, -1, -1));
}

// User 0 and two others with the similarities 0.8 and 0.6, who rate item 2 with 2 and 5.
TEST_F(NeighborsGoldenTest, GivenSimilarities) {
  const auto data = prepare({{5, 3, 0}, {4, 0, 2}, {0, 4, 5}});
  NeighborsConfig config = {
      .values = {.similarity = Similarity::given},
      .similarities = GivenSimilaritiesConfig{
          .table = {.path = write("相似.csv", "id,neighbor,similarity\n用户0,用户1,0.8\n用户0,用户2,0.6\n")}}};
  const auto with = [&](Rule prediction) {
    config.prediction.prediction = prediction;
    return train<UserKnn>(data, config);
  };
  EXPECT_NEAR(predicted(with(Rule::weighted_mean), 0, "i2"), 3.2857143, 1e-6);
  EXPECT_NEAR(predicted(with(Rule::centred), 0, "i2"), 3.6428571, 1e-6);
  EXPECT_NEAR(score(with(Rule::sum), 0, "i2"), 4.6, 1e-6);
  EXPECT_NE(with(Rule::sum).cannot_fold_in(), "");

  // With a negative similarity the denominator is the sum of the absolute values.
  write("相似.csv", "id,neighbor,similarity\n用户0,用户1,0.8\n用户0,用户2,-0.7\n");
  EXPECT_NEAR(predicted(with(Rule::weighted_mean), 0, "i2"), 2, 1e-6);
  config.values.keep_negative = true;
  EXPECT_NEAR(predicted(with(Rule::weighted_mean), 0, "i2"), -1.9 / 1.5, 1e-6);
}

// A and B have bought X and Y, A also Z, B also W.
TEST_F(NeighborsGoldenTest, BuyersOfTheSameThingsBuyTheOthers) {
  const auto data = prepare({{1, 1, 1, 0, 0}, {1, 1, 0, 1, 0}, {0, 0, 0, 0, 1}});
  const auto model = train<UserKnn>(data, rule(Rule::sum));
  EXPECT_NEAR(similarity(model, 0, 1), 2.0 / 3, 1e-6);
  auto context = cuda::Context::cpu(1);
  const auto scorer = model.scorer(context, {});
  const std::vector<int64_t> offsets = {0, 3, 6};
  const std::vector<int32_t> seen = {0, 1, 2, 0, 1, 3};
  const auto ranked = scorer->rank(std::array{0, 1}, {2, offsets.data(), seen.data()}, 2);
  EXPECT_THAT(ranked.items, ElementsAre(3, 4, 2, 4)) << "W for A, Z for B, then by popularity";
  EXPECT_THAT(ranked.scores, ElementsAre(FloatNear(2.0 / 3, 1e-6), 0, FloatNear(2.0 / 3, 1e-6), 0));
  EXPECT_TRUE(model.predict(0, {{0, 1}, {3}, {0}}).empty());
}

// scripts/golden/neighbors.py
TEST_F(NeighborsGoldenTest, EqualsSurpriseAndImplicit) {
  const auto golden = nlohmann::json::parse(std::ifstream(testing::source_path("tests/golden/neighbors.json")));
  const int64_t users = golden["users"], items = golden["items"];
  RatingTable table(users, std::vector<float>(items));
  for (int64_t cell = 0; cell < users * items; cell++) table[cell / items][cell % items] = golden["ratings"][cell];
  const auto data = prepare(table);
  for (const auto& expected : golden["cases"]) {
    NeighborsConfig config;
    config.values.similarity = value_of<Similarity>(expected["similarity"].get<std::string>());
    const bool implicit = expected.contains("weights");
    if (implicit) {
      config.values.weights = value_of<RowWeights>(expected["weights"].get<std::string>());
      config.prediction = {.prediction = Rule::sum, .direction = NeighborDirection::reverse};
    } else {
      config.values.missing = co_rated;
      config.values.min_support = expected["min_support"];
      config.values.shrinkage = expected["shrinkage"];
      config.prediction = {.prediction = value_of<Rule>(expected["prediction"].get<std::string>()),
                           .k = expected["k"].get<int64_t>(),
                           .min_neighbors = expected["min_neighbors"]};
    }
    const bool by_user = expected.value("by_user", false);
    const auto of_users = by_user ? std::optional(train<UserKnn>(data, config)) : std::nullopt;
    const auto of_items = by_user ? std::nullopt : std::optional(train<ItemKnn>(data, config));
    const NeighborsModel& model = by_user ? static_cast<const NeighborsModel&>(*of_users) : *of_items;
    size_t at = 0;
    for (int64_t cell = 0; cell < users * items; cell++) {
      if (table[cell / items][cell % items] > 0) continue;
      const auto& value = expected["found"][at++];
      const std::string item = "i" + std::to_string(cell % items);
      if (value.is_null()) continue;
      const int64_t user = cell / items;
      const double found = implicit ? score(model, static_cast<int32_t>(user), item)
                                    : model.predict(user, {{0, 1}, {model.items.find(item)}, {0}}).at(0);
      ASSERT_NEAR(found, value.get<double>(), 2e-5 * (implicit ? std::max(1.0, value.get<double>()) : 1))
          << expected["peer"] << " " << expected["similarity"] << " user " << user << " " << item;
    }
    EXPECT_EQ(at, expected["found"].size());
  }
}

}  // namespace
}  // namespace sartor
