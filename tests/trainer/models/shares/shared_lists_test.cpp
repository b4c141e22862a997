// Lists and rows that ranks exchange.
#include <gmock/gmock.h>

#include <numeric>

#include "models/factorization/row_shares.h"
#include "models/factorization/shares/grid_shares.h"
#include "models/factorization/shares/row_lists.h"
#include "support/thread_ranks.h"

namespace sartor {
namespace {

using ::testing::ElementsAre;

TEST(RowLists, OfAllRanksFollowEachOther) {
  const std::vector<int64_t> bounds = {0, 2, 2, 5};
  const auto done = testing::on_threads(3, [&](Collective& ranks) {
    std::vector<int64_t> offsets = {0};
    std::vector<int32_t> ids;
    std::vector<float> values;
    for (int64_t row = bounds[ranks.rank()]; row < bounds[ranks.rank() + 1]; row++) {  // row r has r entries
      for (int64_t entry = 0; entry < row; entry++) {
        ids.push_back(static_cast<int32_t>(10 * row + entry) * (entry % 2 == 0 ? 1 : -1));
        values.push_back(static_cast<float>(row) / 2);
      }
      offsets.push_back(std::ssize(ids));
    }
    gather_lists(ranks, bounds, offsets, ids, values);
    EXPECT_THAT(offsets, ElementsAre(0, 0, 1, 3, 6, 10));
    EXPECT_THAT(ids, ElementsAre(10, 20, -21, 30, -31, 32, 40, -41, 42, -43));
    EXPECT_THAT(values, ElementsAre(.5f, 1, 1, 1.5f, 1.5f, 1.5f, 2, 2, 2, 2));
    return 0;
  });
  EXPECT_EQ(done.size(), 3u);
}

TEST(RowLists, MayAllBeEmpty) {
  testing::on_threads(2, [&](Collective& ranks) {
    std::vector<int64_t> offsets = {0};
    std::vector<int32_t> ids;
    std::vector<float> values;
    gather_lists(ranks, std::vector<int64_t>{0, 0, 0}, offsets, ids, values);
    EXPECT_THAT(offsets, ElementsAre(0));
    return 0;
  });
}

TEST(RowShares, FollowGivenCosts) {
  EXPECT_THAT(row_shares(std::vector<double>{6, 1, 1, 1, 3}, 2), ElementsAre(0, 1, 5));
  EXPECT_THAT(row_shares(std::vector<double>{1, 2}, 1), ElementsAre(0, 2));
  EXPECT_THAT(row_shares(std::vector<double>(), 2), ElementsAre(0, 0, 0));
}

TEST(Blocks, HaveTheirRowsInOrder) {
  const Blocks blocks = blocks_of(std::vector<int32_t>{2, 0, 2, 0}, 3);
  EXPECT_THAT(blocks.of(0), ElementsAre(1, 3));
  EXPECT_THAT(blocks.of(1), ElementsAre());
  EXPECT_THAT(blocks.of(2), ElementsAre(0, 2));
}

// A rank needs a block of users for each round, and a GPU does not share.
TEST(GridShares, AreMadeForRanksWithBlocks) {
  testing::on_threads(3, [](Collective& ranks) {
    EXPECT_TRUE(GridShares::make(ranks, 3, false));
    EXPECT_FALSE(GridShares::make(ranks, 2, false));
    EXPECT_FALSE(GridShares::make(ranks, 3, true));
    EXPECT_EQ(GridShares::make(ranks, 7, false)->own().size(), ranks.rank() == 0 ? 2 : ranks.rank() == 1 ? 2 : 3);
    return 0;
  });
  Alone alone;
  EXPECT_FALSE(GridShares::make(alone, 16, false));
}

// Users and items are numbers that meet in each cell: x = 3 x + y, y = y + 2 x (modulo a prime), which depends on the
// order. Row i is in block i % blocks; a second array counts the meetings.
TEST(GridShares, GiveWhatOneRankFinds) {
  constexpr int64_t blocks = 7, rows = 17;
  struct Side {
    Blocks blocks;
    std::vector<float> numbers, counts;

    Side() : numbers(2 * rows), counts(rows) {
      std::vector<int32_t> block_of(rows);
      for (int64_t row = 0; row < rows; row++) block_of[row] = static_cast<int32_t>(row % 7);
      blocks = blocks_of(block_of, 7);
      std::iota(numbers.begin(), numbers.end(), 1.0f);
    }
    BlockedRows view() { return {&blocks, {{numbers.data(), 2}, {counts.data(), 1}}}; }
  };
  const auto meet = [](Side& users, Side& items, int64_t first, int64_t last, int64_t round) {
    for (int64_t block = first; block < last; block++) {
      for (const int32_t u : users.blocks.of(block)) {
        for (const int32_t i : items.blocks.of((block + round) % blocks)) {
          float &x = users.numbers[2 * u], &y = items.numbers[2 * i + 1];
          x = std::fmod(3 * x + y, 1009.0f);
          y = std::fmod(y + 2 * x, 1009.0f);
          users.counts[u]++;
          items.counts[i]++;
        }
      }
    }
  };
  for (const int64_t first : {0, 4}) {
    Side users, items;
    for (int epoch = 0; epoch < 2; epoch++) {
      for (int64_t round = first; round < first + blocks; round++) meet(users, items, 0, blocks, round);
    }
    for (const int size : {2, 3, 7}) {
      testing::on_threads(size, [&](Collective& ranks) {
        Side own_users, own_items;
        auto shares = *GridShares::make(ranks, blocks, false);
        for (int epoch = 0; epoch < 2; epoch++) {
          shares.train_rounds(first, own_users.view(), own_items.view(), [&](int64_t round) {
            meet(own_users, own_items, shares.own().begin, shares.own().end, round);
          });
        }
        EXPECT_EQ(own_users.numbers, users.numbers) << size;
        EXPECT_EQ(own_items.numbers, items.numbers) << size;
        EXPECT_EQ(own_users.counts, users.counts) << size;
        EXPECT_EQ(own_items.counts, items.counts) << size;
        return 0;
      });
    }
  }
}

}  // namespace
}  // namespace sartor
