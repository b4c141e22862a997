// Blocks of queries, including more entries in total than 32 bits can count.
#include "scoring/pair_blocks.h"

#include <gtest/gtest.h>

#include "models/factorization/scorer.h"

namespace sartor::inference {
namespace {

TEST(PairBlocks, CoverEveryQueryOnceInBoundedMemory) {
  for (const int64_t queries : {int64_t{0}, int64_t{1}, int64_t{4096}, int64_t{4097}, int64_t{30'000'001}}) {
    for (const int64_t k : {1, 10, 256, 257, 1000, 100'000, 3'000'000}) {
      int64_t next = 0, pairs = 0;
      for_each_block(queries, k, [&](int64_t first, int64_t count) {
        EXPECT_EQ(first, next);
        EXPECT_TRUE(count == 1 || (count <= most_queries && count * k <= most_pairs));
        next = first + count;
        pairs += count * k;
      });
      EXPECT_EQ(next, queries);
      EXPECT_EQ(pairs, queries * k) << "above 2^31 for many of these";
    }
  }
}

// of() finds every list of a block, and positions are exact beyond 2^31.
TEST(PairBlocks, ListsOfThreeBillionPairsAreFoundInTheirBlocks) {
  constexpr int64_t queries = 3'000'000, k = 1000;
  RankedItems block = {k, std::vector<int32_t>(queries_in_block(k) * k), {}};
  int64_t last_pair = -1;
  for_each_block(queries, k, [&](int64_t first, int64_t count) {
    block.items[(count - 1) * k] = static_cast<int32_t>(first + count - 1);  // as a producer would, for its last query
    EXPECT_EQ(block.of(count - 1)[0], first + count - 1);
    EXPECT_EQ(block.of(count - 1).size(), 1000u);
    last_pair = (first + count) * k - 1;
  });
  EXPECT_EQ(last_pair, 2'999'999'999);
}

}  // namespace
}  // namespace sartor::inference
