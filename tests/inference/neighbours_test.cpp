// Nearest rows by cosine, excluding the query itself.
#include "scoring/neighbours.h"

#include <gmock/gmock.h>

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;

TEST(Neighbours, OfTheFourUsersInTheArticle) {
  const std::vector<float> ratings = {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5};
  auto context = cuda::Context::cpu(1);
  Neighbours neighbours(context, {ratings.data(), 4, 4});
  const RankedItems found = neighbours.find(std::vector<int32_t>{0}, 3);
  EXPECT_THAT(found.items, ElementsAre(1, 2, 3));
  EXPECT_THAT(found.scores, ElementsAre(FloatNear(0.8f, 1e-6f), FloatNear(0.6f, 1e-6f), FloatNear(0.48f, 1e-6f)));
}

TEST(Neighbours, ATwinComesFirstAndOneselfNever) {
  const std::vector<float> rows = {1, 0, 0, 1, 1, 0, 0, 0};
  auto context = cuda::Context::cpu(1);
  Neighbours neighbours(context, {rows.data(), 4, 2});
  const RankedItems found = neighbours.find(std::vector<int32_t>{2, 0, 3}, 4);
  EXPECT_THAT(found.of(0), ElementsAre(0, 1, 3, -1));
  EXPECT_THAT(found.of(1), ElementsAre(2, 1, 3, -1));
  EXPECT_THAT(found.of(2), ElementsAre(0, 1, 2, -1));
}

TEST(Neighbours, ByCorrelation) {
  const std::vector<float> ratings = {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5};
  auto context = cuda::Context::cpu(1);
  Neighbours neighbours(context, {ratings.data(), 4, 4}, {.similarity = cuda::Similarity::centred_cosine});
  const RankedItems found = neighbours.find(std::vector<int32_t>{0}, 3);
  EXPECT_THAT(found.items, ElementsAre(1, 2, 3));
  const float seventh = 1.f / 7;
  EXPECT_THAT(found.scores, ElementsAre(FloatNear(2 * seventh, 1e-6f), FloatNear(-3 * seventh, 1e-6f),
                                        FloatNear(-6 * seventh, 1e-6f)));
}

TEST(Neighbours, OnlyAllowedRowsAreFoundForAnyQuery) {
  std::vector<float> rows(70);
  for (int i = 0; i < 70; i++) rows[i] = static_cast<float>(70 - i);
  std::vector<bool> allowed(70);
  allowed[3] = allowed[33] = allowed[69] = true;
  auto context = cuda::Context::cpu(1);
  for (const auto precision : {cuda::TopkPrecision::fp32, cuda::TopkPrecision::fp16}) {
    Neighbours neighbours(context, {rows.data(), 70, 1}, {.precision = precision, .allowed = allowed});
    const RankedItems found = neighbours.find(std::vector<int32_t>{0, 33}, 4);
    EXPECT_THAT(found.of(0), ElementsAre(3, 33, 69, -1));
    EXPECT_THAT(found.of(1), ElementsAre(3, 69, -1, -1));
  }
}

// 1.001 is 1 in bf16, and ties go to the lower id.
TEST(Neighbours, PrecisionRoundsTheRows) {
  const std::vector<float> rows = {1, 1, 1.001f, 1, 1, 0};
  auto context = cuda::Context::cpu(1);
  using enum cuda::TopkPrecision;
  for (const auto precision : {fp32, tf32, fp16, bf16}) {
    Neighbours neighbours(context, {rows.data(), 3, 2}, {.precision = precision});
    const RankedItems found = neighbours.find(std::vector<int32_t>{2}, 2);
    EXPECT_EQ(found.items, precision == bf16 ? (std::vector<int32_t>{0, 1}) : (std::vector<int32_t>{1, 0}));
    EXPECT_EQ(found.scores[0] == found.scores[1], precision == bf16);
  }
}

}  // namespace
}  // namespace sartor::inference
