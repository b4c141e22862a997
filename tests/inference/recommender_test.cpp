// Recommendations for known, new and unknown users.
#include "scoring/recommender.h"

#include <gmock/gmock.h>

#include <Eigen/Dense>

#include "models/factorization/factor_ranker.h"
#include "support/factor_models.h"

namespace sartor::inference {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

class RecommenderTest : public ::testing::Test {
 protected:
  cuda::Context context_ = cuda::Context::cpu(1);
};

TEST_F(RecommenderTest, KnownUsersGetTheirBestUnseenItems) {
  const auto model = made_model(6, 20, 3);
  Recommender recommender(context_, model, {.k = 5});
  const auto found = recommender.recommend(std::vector<std::string>{"u2", "用户1"});
  FactorRanker ranker(context_, model);
  const auto all = ranker.rank(all_users(model), seen_of(model), 5);
  EXPECT_THAT(found.items.of(0), ::testing::ElementsAreArray(all.of(2)));
  EXPECT_THAT(found.items.of(1), ::testing::ElementsAreArray(all.of(1)));
  EXPECT_THAT(found.basis, Each(Basis::model));
  for (const int32_t item : found.items.of(0)) EXPECT_NE((2 + item) % 4, 0) << "seen item " << item;
}

// Factors of 1 and 1.001 are equal in bf16, and ties go to the lower id.
TEST_F(RecommenderTest, PrecisionRoundsFactors) {
  auto model = made_model(1, 3, 2);
  model.user_factors = {1, 1};
  model.item_factors = {1, 1, 1.001f, 1, 1, 0};
  model.item_bias = {0, 0, 0};
  using enum cuda::TopkPrecision;
  for (const auto precision : {fp32, tf32, fp16, bf16}) {
    Recommender recommender(context_, model, {.k = 3, .exclude_seen = false, .precision = precision});
    const auto found = recommender.recommend(std::vector<std::string>{"u0"});
    EXPECT_EQ(found.items.of(0)[0], precision == bf16 ? 0 : 1);
  }
}

TEST_F(RecommenderTest, SeenItemsMayBeKept) {
  const auto model = made_model(2, 9, 2);
  Recommender recommender(context_, model, {.k = 9, .exclude_seen = false});
  const auto found = recommender.recommend(std::vector<std::string>{"u0"});
  EXPECT_THAT(found.items.of(0), Each(Ge(0)));
}

TEST_F(RecommenderTest, StrangersGetThePopularityList) {
  auto model = made_model(2, 5, 2);
  model.item_count = {3, 9, 1, 9, 4};
  Recommender recommender(context_, model, {.k = 3});
  const auto found = recommender.recommend(std::vector<std::string>{"谁", "u0", ""});
  EXPECT_THAT(found.basis, ElementsAre(Basis::popularity, Basis::model, Basis::popularity));
  EXPECT_THAT(found.items.of(0), ElementsAre(1, 3, 4));
  EXPECT_THAT(found.items.of(2), ElementsAre(1, 3, 4));
  EXPECT_FLOAT_EQ(found.items.scores[0], 9);
}

TEST_F(RecommenderTest, OnlyOfferedItemsAppear) {
  const auto model = made_model(4, 20, 3);
  Recommender recommender(context_, model, {.k = 3, .offered = {1, 6, 7, 13, 19}});
  const auto found = recommender.recommend(std::vector<std::string>{"u0", "谁"});
  EXPECT_THAT(found.items.items, Each(::testing::AnyOf(1, 6, 7, 13, 19)));
}

TEST_F(RecommenderTest, NewUsersAreFoldedInByRidgeRegression) {
  const auto model = made_model(3, 12, 2);
  const std::vector<UserRating> given = {{7, 5.f}, {2, 1.f}, {9, 4.f}};
  Recommender recommender(context_, model, {.k = 9});
  recommender.fold_in({{"新用户", given}});
  const auto found = recommender.recommend(std::vector<std::string>{"新用户"});
  EXPECT_THAT(found.basis, ElementsAre(Basis::ratings));
  EXPECT_THAT(found.items.of(0), Not(AllOf(Contains(7), Contains(2), Contains(9))));

  // min |y - F w|^2 + lambda n^p |w_factors|^2 + beta n^p w_bias^2, the bias as a feature of ones.
  Eigen::MatrixXd features(3, 3);
  Eigen::VectorXd targets(3);
  for (int r = 0; r < 3; r++) {
    features.row(r) << model.item_rows().row(given[r].item)[0], model.item_rows().row(given[r].item)[1], 1;
    targets[r] = given[r].value - model.mean - model.item_bias[given[r].item];
  }
  Eigen::Vector3d weight(0.7, 0.7, 0.3);
  const Eigen::Matrix3d normal =
      features.transpose() * features + Eigen::Matrix3d((weight * std::sqrt(3)).asDiagonal());
  const Eigen::Vector3d solution = normal.ldlt().solve(features.transpose() * targets);
  for (size_t rank = 0; rank < 9; rank++) {
    const int32_t item = found.items.of(0)[rank];
    ASSERT_GE(item, 0);
    const double expected = solution[0] * model.item_rows().row(item)[0] + solution[1] * model.item_rows().row(item)[1];
    EXPECT_NEAR(found.items.scores[rank], expected + model.item_bias[item], 1e-4);
  }
}

TEST_F(RecommenderTest, RatingsOfAKnownUserAreJoinedWithThoseOfTraining) {
  const auto model = made_model(4, 12, 3);  // 用户1 has rated 3, 7 and 11
  const std::vector<UserRating> given = {{7, 5.f}, {2, 4.f}};
  Recommender recommender(context_, model, {.k = 12});
  recommender.fold_in({{"用户1", given}, {"stranger", {{2, 4.f}, {3, 2.f}, {7, 5.f}, {11, 5.f}}}});
  const auto found = recommender.recommend(std::vector<std::string>{"用户1", "stranger"});
  EXPECT_EQ(model.seen_ratings[model.seen_offsets[1]], 2) << "of item 3";
  EXPECT_EQ(model.seen_ratings[model.seen_offsets[2] - 1], 5) << "of item 11";
  EXPECT_THAT(found.basis, Each(Basis::ratings));
  EXPECT_THAT(found.items.of(0), ::testing::ElementsAreArray(found.items.of(1)));
  for (const int32_t rated : {2, 3, 7, 11}) EXPECT_THAT(found.items.of(0), Not(Contains(rated)));

  Recommender replacing(context_, model, {.k = 12});
  replacing.fold_in({{"用户1", given}, {"stranger", given}}, /*replace=*/true);
  const auto replaced = replacing.recommend(std::vector<std::string>{"用户1", "stranger"});
  EXPECT_THAT(replaced.items.of(0), ::testing::ElementsAreArray(replaced.items.of(1)));
  EXPECT_THAT(replaced.items.of(0), AllOf(Contains(3), Contains(11), Not(Contains(2)), Not(Contains(7))));
}

TEST_F(RecommenderTest, AModelWithoutItsRatingsCanOnlyReplaceThem) {
  auto model = made_model(4, 12, 3);
  model.seen_ratings.clear();
  const auto fold_in = [&](const std::string& user, bool replace) {
    Recommender(context_, model, {.k = 3}).fold_in({{user, {{1, 5.f}}}}, replace);
  };
  EXPECT_THAT([&] { fold_in("u0", false); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("train it again, or set new_users.replace")));
  EXPECT_NO_THROW(fold_in("new", false));
  EXPECT_NO_THROW(fold_in("u0", true));
}

TEST_F(RecommenderTest, ListsEndWithTheItemsThatThereAre) {
  const auto model = made_model(2, 8, 2);  // u0 has rated 0 and 4
  Recommender recommender(context_, model, {.k = 50});
  const auto found = recommender.recommend(std::vector<std::string>{"u0", "谁"});
  EXPECT_EQ(found.items.k, 8);
  EXPECT_EQ(std::ranges::count(found.items.of(0), -1), 2);
  EXPECT_EQ(std::ranges::count(found.items.of(1), -1), 0);
  Recommender narrow(context_, model, {.k = 3, .offered = {0, 4, 5}});
  EXPECT_THAT(narrow.recommend(std::vector<std::string>{"u0"}).items.of(0), ElementsAre(5, -1, -1));
}

TEST_F(RecommenderTest, UsersWithoutTrainingRatingsGetThePopularityList) {
  auto model = made_model(2, 5, 2);  // 用户1 has rated 3
  model.item_count = {3, 9, 1, 9, 4};
  std::fill_n(model.user_factors.begin() + 2, 2, 0.f);
  const std::vector<std::string> asked = {"用户1", "u0"};
  const auto found = Recommender(context_, model, {.k = 3}).recommend(asked);
  EXPECT_THAT(found.basis, ElementsAre(Basis::popularity, Basis::model));
  EXPECT_THAT(found.items.of(0), ElementsAre(1, 4, 0));
  EXPECT_FLOAT_EQ(found.items.scores[1], 4);
  const auto with_seen = Recommender(context_, model, {.k = 3, .exclude_seen = false}).recommend(asked);
  EXPECT_THAT(with_seen.items.of(0), ElementsAre(1, 3, 4));
}

TEST_F(RecommenderTest, RefusesNewUsersThatRateTwiceOrModelsThatCannotTakeThem) {
  const auto model = made_model(2, 4, 2), flat = made_model(2, 4, 0);
  EXPECT_THAT(
      [&] {
        Recommender(context_, model, {.k = 1}).fold_in({{"x", {{3, 1.f}, {3, 2.f}}}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("user x rates item 商品3 twice")));
  EXPECT_THAT(
      [&] {
        Recommender(context_, flat, {.k = 1}).fold_in({{"x", {{3, 1.f}}}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("without factors")));
}

}  // namespace
}  // namespace sartor::inference
