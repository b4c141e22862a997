// Factor models: file format and ranking.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "models/factorization/algorithms.h"
#include "models/factorization/factor_ranker.h"
#include "storage/hdf5_file.h"
#include "support/factor_models.h"
#include "support/folder_test.h"
#include "support/paths.h"

namespace sartor {
namespace {

using datasets::Hdf5File;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

AlsModel load(const std::filesystem::path& path) {
  return dynamic_cast<const AlsModel&>(*FactorizationAlgorithms::load(path));
}

class FactorModelFile : public testing::FolderTest {
 protected:
  // Copies the datasets of the saved model, except those that `change` writes.
  template <class Change> void expect_fault(const AlsModel& model, Change change, const std::string& text) {
    auto broken = model;
    change(broken);
    broken.save(folder_);
    EXPECT_THAT([&] { load(folder_ / "factors.h5"); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  }
};

TEST_F(FactorModelFile, ComesBackAsItWas) {
  for (const auto& model : {made_model(5, 7, 3), made_model(2, 3, 0)}) {
    model.save(folder_);
    const AlsModel back = load(folder_ / "factors.h5");
    ASSERT_EQ(back.users.size(), model.users.size());
    EXPECT_EQ(back.users[1], "用户1");
    EXPECT_EQ(back.items.find("商品1"), 1);
    EXPECT_EQ(back.factors, model.factors);
    EXPECT_EQ(back.user_factors, model.user_factors);
    EXPECT_EQ(back.item_bias, model.item_bias);
    EXPECT_EQ(back.item_count, model.item_count);
    EXPECT_EQ(back.seen_items, model.seen_items);
    EXPECT_EQ(back.seen_ratings, model.seen_ratings);
    EXPECT_EQ(back.solver.regularization_power, 0.5f);
    EXPECT_EQ(back.mean, 3.5);
    EXPECT_EQ(back.data_hash, "0123");
  }
}

TEST_F(FactorModelFile, IsFoundInARunFolder) {
  std::filesystem::create_directories(folder_ / "run" / "model");
  made_model(2, 2, 1).save(folder_ / "run" / "model");
  EXPECT_EQ(load(folder_ / "run").users.size(), 2);
}

// Version 0.1 had only one algorithm and did not store its name.
TEST_F(FactorModelFile, WithoutAnAlgorithmIsOfAls) {
  const auto run = testing::source_path("tests/golden/earlier/factors");
  EXPECT_FALSE(Hdf5File::open(run + "/model/factors.h5").has_attribute("algorithm"));
  const AlsModel model = load(run);
  EXPECT_EQ(model.algorithm, "als");
  EXPECT_EQ(model.factors, 4);
  EXPECT_TRUE(model.biases);
  EXPECT_EQ(model.solver.bias_regularization, 0.5f);
  EXPECT_TRUE(model.cannot_fold_in().empty());
}

TEST_F(FactorModelFile, NamesItsAlgorithm) {
  auto model = made_model(2, 2, 1);
  model.save(folder_);
  EXPECT_EQ(Hdf5File::open(folder_ / "factors.h5").string_attribute("algorithm"), "als");
  expect_fault(
      model, [](AlsModel& m) { m.algorithm = "交替"; }, "the algorithm is \"交替\", expected als");
}

TEST_F(FactorModelFile, NamesWhatDoesNotFit) {
  const auto model = made_model(4, 6, 2);
  expect_fault(
      model, [](AlsModel& m) { m.user_bias.pop_back(); }, "users/factors: has 3 rows for 4 ids");
  expect_fault(
      model, [](AlsModel& m) { m.item_factors[3] = NAN; }, "items/factors: value 3 is not finite");
  expect_fault(
      model, [](AlsModel& m) { m.item_count.push_back(1); }, "items/count: has 7 values, expected 6");
  expect_fault(
      model, [](AlsModel& m) { m.seen_items[1] = 6; }, "seen/items: item 6 after 0 at 1");
  expect_fault(
      model, [](AlsModel& m) { m.seen_items[1] = 0; }, "seen/items: item 0 after 0 at 1");
  expect_fault(
      model, [](AlsModel& m) { m.seen_offsets[1] = 9; }, "seen/offsets do not ascend");
  expect_fault(
      model, [](AlsModel& m) { m.seen_ratings.pop_back(); }, "seen/ratings: has 5 values, expected 6");
}

TEST_F(FactorModelFile, AnotherFileIsRefusedByName) {
  {
    Hdf5File file = Hdf5File::create(folder_ / "other.h5");
    file.set_schema("sartor.prepared", 1);
  }
  EXPECT_THAT([&] { load(folder_ / "other.h5"); }, ThrowsMessage<std::invalid_argument>(HasSubstr("sartor.prepared")));
  EXPECT_THAT([&] { load(folder_ / "none.h5"); }, ThrowsMessage<std::invalid_argument>(HasSubstr("none.h5")));
}

TEST(FactorModelRating, AddsUpAndIsClipped) {
  auto model = made_model(1, 2, 2);
  model.user_factors = {1, 2};
  model.item_factors = {0.5, 0.25, 3, 3};
  model.user_bias = {0.125};
  model.item_bias = {-1, 1};
  EXPECT_DOUBLE_EQ(model.rating(0, 0), 3.5 + 0.125 - 1 + 1);
  EXPECT_DOUBLE_EQ(model.rating(0, 1), 5);
}

// Reference: all scores in double, then sorted.
std::vector<int32_t> naive_ranking(const FactorModel& model, int64_t user, const std::vector<int32_t>& offered) {
  std::vector<std::pair<double, int32_t>> scored;
  for (const int32_t item : offered) {
    const auto seen_from = model.seen_items.begin() + model.seen_offsets[user];
    const auto seen_to = model.seen_items.begin() + model.seen_offsets[user + 1];
    if (std::find(seen_from, seen_to, item) != seen_to) continue;
    double score = model.popularity_weight > 0 ? model.popularity_weight * std::log(1.0 + model.item_count[item])
                                               : model.item_bias[item];
    for (int64_t f = 0; f < model.factors; f++) {
      score += model.user_rows().row(user)[f] * model.item_rows().row(item)[f];
    }
    scored.emplace_back(-score, item);
  }
  std::ranges::sort(scored);
  std::vector<int32_t> items;
  for (const auto& [score, item] : scored) items.push_back(item);
  return items;
}

TEST(FactorRanker, OrdersAsDoubleLoopsDo) {
  auto context = cuda::Context::cpu(2);
  const std::vector<int32_t> all = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
                             some = {1, 2, 5, 8, 11, 14};
  for (const double weight : {0.0, 1.5}) {
    for (const auto& offered : {all, some}) {
      auto model = made_model(9, 17, 4);
      model.popularity_weight = weight;
      FactorRanker ranker(context, model, {.offered = offered == all ? std::vector<int32_t>{} : offered});
      const auto ranked = ranker.rank(all_users(model), seen_of(model), 4);
      for (int64_t user = 0; user < 9; user++) {
        const auto expected = naive_ranking(model, user, offered);
        for (size_t rank = 0; rank < 4; rank++) {
          EXPECT_EQ(ranked.of(user)[rank], rank < expected.size() ? expected[rank] : -1)
              << "user " << user << ", rank " << rank;
        }
      }
    }
  }
}

TEST(FactorRanker, WithoutFactorsEverybodyGetsThePrior) {
  auto context = cuda::Context::cpu(1);
  auto model = made_model(3, 4, 0);
  model.item_bias = {1, 3, 2, 3};
  const auto ranked = FactorRanker(context, model).rank(all_users(model), {}, 4);
  for (int64_t user = 0; user < 3; user++) EXPECT_THAT(ranked.of(user), ElementsAre(1, 3, 2, 0));
}

}  // namespace
}  // namespace sartor
