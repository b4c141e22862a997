// Ranks that search parts of a catalogue find the lists of the whole.
#include "scoring/catalogue_shards.h"

#include <gmock/gmock.h>

#include <limits>

#include "scoring/neighbours.h"
#include "scoring/recommender.h"
#include "scoring/shared_blocks.h"
#include "support/factor_models.h"
#include "support/random.h"
#include "support/thread_ranks.h"

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StrEq;
using ::testing::ThrowsMessage;

TEST(RankedItems, MergeByScoreThenByLowerIndex) {
  RankedItems first = {3, {1, 2, 0, 4, -1, -1, -1, -1, -1}, {5, 4, 4, 1, 0, 0, 0, 0, 0}};
  first.merge({3, {9, 7, 8, 6, -1, -1, 5, -1, -1}, {5, 4.5, 4, 2, 9, 9, -1e30f, 9, 9}});
  EXPECT_THAT(first.of(0), ElementsAre(1, 9, 7));
  EXPECT_THAT(first.of(1), ElementsAre(6, 4, -1));
  EXPECT_THAT(first.of(2), ElementsAre(5, -1, -1));
  EXPECT_THAT(std::span(first.scores).first(5), ElementsAre(5, 5, 4.5, 2, 1));
}

TEST(RankedItems, MergeInAnyOrder) {
  const RankedItems a = {2, {3, 8}, {2, 1}}, b = {2, {1, 9}, {2, 1}}, c = {2, {-1, -1}, {7, 7}};
  RankedItems forward = a, backward = c;
  forward.merge(b);
  forward.merge(c);
  backward.merge(b);
  backward.merge(a);
  EXPECT_THAT(forward.items, ElementsAre(1, 3));
  EXPECT_EQ(backward.items, forward.items);
}

CatalogueShard shard_of(const Collective& ranks) { return {ranks.rank(), ranks.size()}; }

TEST(CatalogueShard, RecommenderFindsTheListsOfTheWhole) {
  auto context = cuda::Context::cpu(1);
  auto model = made_model(9, 23, 3);
  std::fill_n(model.user_factors.begin(), model.factors, 0.f);  // u0 gets the most popular items
  model.popularity_weight = 0.5;
  const std::vector<std::string> users = {"u0", "用户1", "u8", "stranger", "新用户", "u2"};
  for (const std::vector<int32_t>& offered : {std::vector<int32_t>{}, {2, 3, 5, 11, 13, 22}}) {
    for (const int64_t k : {1, 4, 50}) {
      const auto find = [&](Collective& ranks, bool by_parts) {
        auto own = cuda::Context::cpu(1);
        Recommender recommender(own, model,
                                {.k = k, .offered = offered, .shard = by_parts ? shard_of(ranks) : CatalogueShard{}});
        recommender.fold_in({{"新用户", {{3, 5.f}, {7, 1.f}}}});
        std::vector<Recommendations> all;
        SharedBlocks(ranks, k, by_parts)
            .round<Recommendations>(
                std::ssize(users),
                [&](int64_t first, int64_t count) {
                  return recommender.recommend(std::span(users).subspan(first, count));
                },
                [&](int64_t, int64_t, const Recommendations& found) { all.push_back(found); });
        return all;
      };
      Alone alone;
      const auto whole = find(alone, false);
      for (const int size : {2, 3, 30}) {  // some with an empty part
        const auto parts = testing::on_threads(size, [&](Collective& ranks) { return find(ranks, true); });
        ASSERT_EQ(parts[0].size(), 1u);
        EXPECT_EQ(parts[0][0].items.items, whole[0].items.items) << size << " ranks, k " << k;
        for (size_t at = 0; at < whole[0].items.items.size(); at++) {
          const float expected =
              whole[0].items.items[at] < 0 ? parts[0][0].items.scores[at] : whole[0].items.scores[at];
          EXPECT_EQ(parts[0][0].items.scores[at], expected);
        }
        EXPECT_EQ(parts[0][0].basis, whole[0].basis);
        EXPECT_TRUE(parts[1].empty());
      }
    }
  }
}

TEST(CatalogueShard, NeighboursAreThoseOfTheWhole) {
  auto context = cuda::Context::cpu(1);
  const auto matrix = normal_rows(40, 5, 1);
  const cuda::Rows<const float> rows = {matrix.values.data(), matrix.rows, matrix.columns};
  const std::vector<int32_t> queries = {39, 0, 17};
  for (const int64_t k : {1, 6, 40}) {
    const auto whole = Neighbours(context, rows).find(queries, k);
    for (const int parts : {2, 7, 60}) {
      RankedItems merged;
      for (int part = 0; part < parts; part++) {
        const CatalogueShard shard = {part, parts};
        const auto found = Neighbours(context, rows, shard.begin(40), shard.end(40)).find(queries, k);
        if (part == 0) merged = found;
        if (part > 0) merged.merge(found);
      }
      EXPECT_EQ(merged.items, whole.items) << parts;
    }
  }
}

TEST(CatalogueShard, PartsCoverAllRowsOnce) {
  for (const int64_t rows : {0, 1, 7, 100}) {
    int64_t next = 0;
    for (int part = 0; part < 7; part++) {
      const CatalogueShard shard = {part, 7};
      EXPECT_EQ(shard.begin(rows), next);
      next = shard.end(rows);
    }
    EXPECT_EQ(next, rows);
  }
}

TEST(CatalogueShard, IsChosenIfAskedOrNeeded) {
  const auto parts = [](int size, Sharding sharding, std::optional<int64_t> memory) {
    ShardingConfig config;
    config.sharding = sharding;
    config.max_device_memory = memory;
    return testing::on_threads(size, [&](Collective& ranks) {
      auto context = cuda::Context::cpu(1);
      const auto shard = choose_shard(config, context, ranks, 1000, 10, "items");
      EXPECT_EQ(shard.part, shard.parts > 1 ? ranks.rank() : 0);
      return shard.parts;
    })[0];
  };
  EXPECT_EQ(parts(3, Sharding::automatic, {}), 1);
  EXPECT_EQ(parts(3, Sharding::automatic, 1000), 1);
  EXPECT_EQ(parts(3, Sharding::automatic, 999), 3);
  EXPECT_EQ(parts(3, Sharding::catalogue, {}), 3);
  EXPECT_EQ(parts(3, Sharding::queries, 1000), 1);
  EXPECT_EQ(parts(1, Sharding::catalogue, {}), 1);
  EXPECT_THAT([&] { parts(3, Sharding::automatic, 333); },
              ThrowsMessage<std::invalid_argument>(
                  StrEq("10 items need 334 bytes of device memory in each of 3 processes, but it has 333: start more "
                        "processes with sharding: catalogue or raise max_device_memory")));
  EXPECT_THAT(
      [&] { parts(2, Sharding::queries, 999); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("10 items need 1000 bytes of device memory in each of 1")));
}

// Rank 0 holds the results of all ranks for a round.
TEST(CatalogueShard, RoundsBoundTheMemoryOfTheFirstRank) {
  testing::on_threads(4, [](Collective& ranks) {
    for (const int64_t k : {1, 1000, 100000}) {
      const int64_t queries = SharedBlocks(ranks, k, true).queries_in_round();
      EXPECT_LE(queries * k * 4, std::max<int64_t>(1 << 24, queries_in_block(k) * k * 4));
      EXPECT_EQ(queries % queries_in_block(k), 0);
    }
    return 0;
  });
}

}  // namespace
}  // namespace sartor::inference
