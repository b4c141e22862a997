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

}  // namespace
}  // namespace sartor::inference
