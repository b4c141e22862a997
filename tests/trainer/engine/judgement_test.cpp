#include "engine/judgement.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sartor {
namespace {

TEST(Judgement, KnowsWhichMetricsFall) {
  Judgement errors, gains, gini;
  EXPECT_TRUE(errors.take({"rmse", 2}, 0, 1));
  EXPECT_TRUE(errors.take({"rmse", 1}, 0, 2));
  EXPECT_FALSE(errors.take({"rmse", 1}, 0, 3));
  EXPECT_TRUE(gains.take({"ndcg@10", 0.1}, 0, 1));
  EXPECT_FALSE(gains.take({"ndcg@10", 0.05}, 0, 2));
  EXPECT_TRUE(gini.take({"gini@20", 0.9}, 0, 1));
  EXPECT_TRUE(gini.take({"gini@20", 0.8}, 0, 2));
  EXPECT_EQ(errors.best_step, 2);
  EXPECT_EQ(errors.without_better, 1);
}

TEST(Judgement, ComesBackFromItsRecord) {
  Judgement judgement;
  EXPECT_FALSE(judgement.take({"recall@10", std::nan("")}, 0, 1));
  EXPECT_FALSE(Judgement::of(judgement.record()).best);
  EXPECT_EQ(Judgement::of(judgement.record()).without_better, 1);
  EXPECT_TRUE(judgement.take({"recall@10", 0.1}, 0.5, 2)) << "the first finite value is the best, whatever it is";
  EXPECT_FALSE(judgement.take({"recall@10", 0.5}, 0.5, 3));
  const auto back = Judgement::of(judgement.record());
  EXPECT_EQ(back.best, 0.1);
  EXPECT_EQ(back.best_step, 2);
  EXPECT_EQ(back.without_better, 1);
}

}  // namespace
}  // namespace sartor
