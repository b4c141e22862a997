#include "generation/decoding/block_pool.h"

#include <gmock/gmock.h>

#include <array>
#include <numeric>
#include <set>
#include <vector>

namespace sartor::inference {
namespace {

std::array<int32_t, cuda::cache_block> tokens(int32_t first) {
  std::array<int32_t, cuda::cache_block> ids;
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

TEST(BlockPool, GivesEachBlockToOneUserUntilAllAreUsed) {
  BlockPool pool(3);
  std::set<int32_t> blocks;
  for (int i = 0; i < 3; i++) blocks.insert(*pool.take());
  EXPECT_THAT(blocks, ::testing::ElementsAre(0, 1, 2));
  EXPECT_FALSE(pool.take());
  pool.drop(1);
  EXPECT_EQ(pool.available(), 1);
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(pool.peak(), 3);
}

TEST(BlockPool, FreesABlockWhenItsLastUserDropsIt) {
  BlockPool pool(1);
  const int32_t block = *pool.take();
  pool.hold(block);
  EXPECT_TRUE(pool.is_shared(block));
  pool.drop(block);
  EXPECT_FALSE(pool.is_shared(block));
  EXPECT_FALSE(pool.take());
  pool.drop(block);
  EXPECT_TRUE(pool.take());
}

TEST(BlockPool, FindsBlocksByAllTokensUpToTheirEnd) {
  BlockPool pool(3);
  const int32_t a = *pool.take(), b = *pool.take();
  const auto after_a = pool.publish(a, 0, tokens(1));
  const auto after_b = pool.publish(b, after_a, tokens(2));
  EXPECT_EQ(pool.find(0, tokens(1))->block, a);
  EXPECT_EQ(pool.find(after_a, tokens(2))->block, b);
  EXPECT_EQ(pool.find(after_a, tokens(2))->beginning, after_b);
  EXPECT_FALSE(pool.find(0, tokens(2)));
  EXPECT_FALSE(pool.find(after_b, tokens(1)));
  const int32_t same = *pool.take();
  EXPECT_EQ(pool.publish(same, 0, tokens(1)), after_a);
  EXPECT_EQ(pool.find(0, tokens(1))->block, a);
}

TEST(BlockPool, KeepsComputedContentsWhileThereIsRoom) {
  BlockPool pool(2);
  const int32_t a = *pool.take(), b = *pool.take();
  pool.publish(a, 0, tokens(1));
  pool.publish(b, 0, tokens(2));
  EXPECT_FALSE(pool.find(0, tokens(1))->computed);
  pool.set_computed(a);
  EXPECT_TRUE(pool.find(0, tokens(1))->computed);
  pool.drop(a);
  pool.drop(b);  // was not computed
  EXPECT_EQ(pool.used(), 0);
  EXPECT_FALSE(pool.find(0, tokens(2)));
  ASSERT_TRUE(pool.find(0, tokens(1)));
  pool.hold(a);
  EXPECT_EQ(pool.used(), 1);
  pool.drop(a);
  EXPECT_EQ(pool.take(), b);
  EXPECT_EQ(pool.take(), a);  // the last memory
  EXPECT_FALSE(pool.find(0, tokens(1)));
  EXPECT_FALSE(pool.take());
}

TEST(BlockPool, ForgetsTheContentsUsedLeastRecently) {
  BlockPool pool(3);
  for (int32_t i = 0; i < 3; i++) {
    const int32_t block = *pool.take();
    pool.publish(block, 0, tokens(i));
    pool.set_computed(block);
  }
  for (const int32_t i : {1, 0, 2}) pool.drop(pool.find(0, tokens(i))->block);
  const int32_t one = pool.find(0, tokens(1))->block;
  pool.hold(one);
  pool.drop(one);
  const auto known = [&] {
    std::vector<int32_t> found;
    for (int32_t i = 0; i < 3; i++) {
      if (pool.find(0, tokens(i))) found.push_back(i);
    }
    return found;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(known(), ElementsAre(0, 1, 2));
  pool.take();
  EXPECT_THAT(known(), ElementsAre(1, 2));
  pool.take();
  EXPECT_THAT(known(), ElementsAre(1));
}

TEST(BlockPool, AForgottenBeginningIsNotMistakenForANewOne) {
  BlockPool pool(2);
  const int32_t a = *pool.take(), b = *pool.take();
  const auto old = pool.publish(a, 0, tokens(1));
  pool.publish(b, old, tokens(2));
  pool.set_computed(b);
  pool.drop(a);  // not computed, so forgotten
  const int32_t again = *pool.take();
  const auto other = pool.publish(again, 0, tokens(7));
  EXPECT_NE(other, old);
  EXPECT_FALSE(pool.find(other, tokens(2)));
}

TEST(BlockPool, KeepsNoMoreThanWereUsedAtATime) {
  BlockPool pool(100);
  for (int32_t i = 0; i < 50; i++) {
    const int32_t block = *pool.take();
    EXPECT_LT(block, 3);
    pool.publish(block, 0, tokens(i));
    pool.set_computed(block);
    pool.drop(block);
  }
}

}  // namespace
}  // namespace sartor::inference
