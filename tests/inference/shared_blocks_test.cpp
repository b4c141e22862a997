// Blocks that ranks share: every one is used once and in order, whichever rank found it.
#include "scoring/shared_blocks.h"

#include <gmock/gmock.h>

#include "models/factorization/scorer.h"
#include "support/stop_signals.h"
#include "support/thread_ranks.h"

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

// A rank that takes the given blocks, one after the other, while it hands over its results.
class Scripted : public Alone {
 public:
  Scripted(int rank, std::vector<int64_t> blocks, std::vector<std::string> others = {})
      : rank_(rank), blocks_(std::move(blocks)), gathered(std::move(others)) {}
  int rank() const override { return rank_; }
  int size() const override { return 2; }
  int64_t next(const std::string&) override {
    const int64_t block = blocks_.front();
    blocks_.erase(blocks_.begin());
    return block;
  }
  std::vector<std::string> gather_on_first(std::string bytes) override {
    gathered.push_back(std::move(bytes));
    return gathered;
  }

 private:
  int rank_;
  std::vector<int64_t> blocks_;

 public:
  std::vector<std::string> gathered;
};

// A list of k items, of which the first one is the query.
RankedItems found_for(int64_t first, int64_t count, int64_t k) {
  RankedItems lists = {k, std::vector<int32_t>(count * k, -1), std::vector<float>(count * k, 0.5f)};
  for (int64_t query = 0; query < count; query++) lists.items[query * k] = static_cast<int32_t>(first + query);
  return lists;
}

constexpr int64_t k = 1 << 19;  // two queries a block

std::vector<int64_t> round(Collective& ranks, int64_t queries, std::vector<int64_t>* found = nullptr) {
  std::vector<int64_t> used;
  SharedBlocks(ranks, k).round<RankedItems>(
      queries,
      [&](int64_t first, int64_t count) {
        if (found) found->push_back(first);
        return found_for(first, count, k);
      },
      [&](int64_t first, int64_t count, const RankedItems& lists) {
        EXPECT_EQ(lists.k, k);
        EXPECT_EQ(std::ssize(lists.items), count * k);
        EXPECT_EQ(lists.scores.back(), 0.5f);
        for (int64_t query = 0; query < count; query++) {
          EXPECT_EQ(lists.of(query)[0], first + query);
          used.push_back(first + query);
        }
      });
  return used;
}

TEST(SharedBlocks, AreUsedOnceAndInOrder) {
  Alone alone;
  EXPECT_THAT(round(alone, 5), ElementsAre(0, 1, 2, 3, 4));
  for (const int64_t queries : {0, 1, 4, 9}) {
    std::vector<int64_t> all(queries);
    for (int64_t query = 0; query < queries; query++) all[query] = query;
    const auto used = testing::on_threads(3, [&](Collective& ranks) { return round(ranks, queries); });
    EXPECT_THAT(used[0], ElementsAreArray(all));
    EXPECT_TRUE(used[1].empty() && used[2].empty());
  }
}

// Rank 1 is slow and gets only the second of five blocks.
TEST(SharedBlocks, ABusyRankLeavesThemToTheOther) {
  std::vector<int64_t> found;
  Scripted second(1, {1, 5});
  EXPECT_TRUE(round(second, 9, &found).empty());
  EXPECT_THAT(found, ElementsAre(2));
  found.clear();
  Scripted first(0, {0, 2, 3, 4, 6}, second.gathered);
  EXPECT_THAT(round(first, 9, &found), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(found, ElementsAre(0, 4, 6, 8));
}

TEST(SharedBlocks, RoundsBoundTheMemoryOfTheFirstRank) {
  Alone alone;
  EXPECT_EQ(SharedBlocks(alone, 10).queries_in_round(), 4096);
  EXPECT_EQ(SharedBlocks(alone, 100'000).queries_in_round(), 10);
  testing::ThreadRank::Meeting meeting(4);
  testing::ThreadRank four(0, meeting);
  EXPECT_EQ(SharedBlocks(four, 10).queries_in_round(), 32 * 4096);
  EXPECT_EQ(SharedBlocks(four, 100'000).queries_in_round(), 160) << "16 blocks of 10 queries";
  EXPECT_EQ(SharedBlocks(four, 1 << 24).queries_in_round(), 4) << "a query per rank";
}

TEST(SharedBlocks, AStopSignalOfOneRankStopsAll) {
  const auto stopped = [] {
    catch_stop_signals(/*launched=*/true);
    testing::on_threads(2, [](Collective& ranks) {
      SharedBlocks blocks(ranks, k);
      EXPECT_THROW(blocks.round<RankedItems>(
                       8,
                       [&](int64_t first, int64_t count) {
                         send_stop_signal(SIGTERM);
                         return found_for(first, count, k);
                       },
                       [](auto...) { FAIL() << "nothing is used"; }),
                   Stopped);
      return 0;
    });
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(stopped(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sartor::inference
