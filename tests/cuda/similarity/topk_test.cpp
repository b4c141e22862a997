// Compares topk on every backend with a double loop.
#include "similarity/topk.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "cuda/similarity/topk_support.h"

namespace sartor::cuda {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using ::testing::ThrowsMessage;

class TopkShapes : public BackendTest<TopkShape> {};

// Sizes around the tiles of 6 and 14 queries, the blocks and panels of 16 and 32 items, and the GPU's 64 x 64 x 16;
// primes; a single query with short and long rows; k = N; enough items for several selections and enough queries for
// several GPU workspaces.
INSTANTIATE_BACKENDS(TopkShapes, TopkShape{1, 1, 1, 1}, TopkShape{1, 17, 400, 3}, TopkShape{1, 9001, 20, 10},
                     TopkShape{6, 16, 16, 16}, TopkShape{7, 33, 17, 4}, TopkShape{14, 32, 3, 1},
                     TopkShape{15, 31, 401, 7}, TopkShape{29, 64, 4, 64}, TopkShape{129, 65, 129, 65},
                     TopkShape{3, 1009, 31, 1009}, TopkShape{3, 20011, 5, 100}, TopkShape{530, 8200, 2, 3});

TEST_P(TopkShapes, CosineEqualsDoubleLoop) {
  const auto [q, n, d, k] = shape();
  expect_double_loop(context(), {normal_rows(q, d, 1), normal_rows(n, d, 2)}, {.k = k});
}

TEST_P(TopkShapes, DotWithBiasAndExclusionsEqualsDoubleLoop) {
  const auto [q, n, d, k] = shape();
  const RandomLists excluded(q, n, 0.3, 5);
  expect_double_loop(context(), {normal_rows(q, d, 3), normal_rows(n, d, 4), normals(n, 6), &excluded},
                     {.k = k, .similarity = Similarity::dot});
}

class Topk : public BackendTest<> {};
INSTANTIATE_BACKENDS(Topk, NoShape{});

TEST_P(Topk, CosinesOfFourUsers) {
  const Matrix ratings(4, 4, {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5});
  const auto found = run(context(), {ratings, ratings}, {.k = 4});
  EXPECT_THAT(found.ids, ElementsAre(0, 1, 2, 3, 1, 0, 3, 2, 2, 3, 0, 1, 3, 2, 1, 0));
  for (int user = 0; user < 4; user++) {
    const double cosines[] = {1, 0.8, 0.6, 0.48};
    for (int rank = 0; rank < 4; rank++) EXPECT_NEAR(found.scores[user * 4 + rank], cosines[rank], 1e-6);
  }
}

TEST_P(Topk, TiesGoToTheLowerId) {
  Matrix items(10000, 3);
  for (int64_t j = 0; j < items.rows; j++)
    items.row(j)[0] = j % 3 == 1 ? 2 : 1;  // same direction, so cosines are equal
  const auto cosine = run(context(), {rows_of(items, {0, 1, 2}), items}, {.k = 50});
  for (int64_t i = 0; i < 3 * 50; i++) EXPECT_EQ(cosine.ids[i], i % 50);

  const Matrix query(1, 3, {1, 5, 5});
  const auto dot = run(context(), {query, items}, {.k = 4000, .similarity = Similarity::dot});
  for (int64_t rank = 0; rank < 4000; rank++)
    EXPECT_EQ(dot.ids[rank], rank < 3333 ? 3 * rank + 1 : ((rank - 3333) * 3 + 1) / 2);
}

TEST_P(Topk, RisingAndFallingScores) {
  for (const float slope : {1.0f, -1.0f}) {
    Matrix items(9000, 1);
    for (int64_t j = 0; j < items.rows; j++) items.row(j)[0] = slope * static_cast<float>(j);
    const Matrix queries(2, 1, {1, -2});
    const auto found = run(context(), {queries, items}, {.k = 37, .similarity = Similarity::dot});
    for (int rank = 0; rank < 37; rank++) {
      EXPECT_EQ(found.ids[rank], slope > 0 ? 8999 - rank : rank);
      EXPECT_EQ(found.ids[37 + rank], slope > 0 ? rank : 8999 - rank);
    }
  }
}

TEST_P(Topk, ZeroRowsScoreZero) {
  Matrix items = normal_rows(40, 5, 1), queries = normal_rows(2, 5, 2);
  std::fill_n(items.row(7), 5, 0.0f);
  std::fill_n(queries.row(1), 5, -0.0f);
  const auto found = run(context(), {queries, items}, {.k = 40});
  expect_near(found, naive_topk({queries, items}, {.k = 40}), 1e-6);
  for (int rank = 0; rank < 40; rank++) {
    if (found.ids[rank] == 7) {
      EXPECT_EQ(found.scores[rank], 0);
    }
    EXPECT_EQ(found.ids[40 + rank], rank);
    EXPECT_EQ(found.scores[40 + rank], 0);
  }
}

TEST_P(Topk, ExcludedItemsDoNotPushOthersOut) {
  Matrix items(5000, 1);
  for (int64_t j = 0; j < items.rows; j++) items.row(j)[0] = static_cast<float>(j);
  RandomLists excluded(0, 0, 0, 0);  // query 0: none, query 1: all but 0, 2 and 4, query 2: all
  excluded.offsets = {0, 0, 4997, 9997};
  for (int32_t j = 0; j < 5000; j++) {
    if (j != 0 && j != 2 && j != 4) excluded.ids.push_back(j);
  }
  for (int32_t j = 0; j < 5000; j++) excluded.ids.push_back(j);
  const Matrix queries(3, 1, {1, 1, 1});
  const auto found = run(context(), {queries, items, {}, &excluded}, {.k = 4, .similarity = Similarity::dot});
  EXPECT_THAT(found.ids, ElementsAre(4999, 4998, 4997, 4996, 4, 2, 0, -1, -1, -1, -1, -1));
  EXPECT_THAT(found.scores,
              ElementsAre(4999, 4998, 4997, 4996, 4, 2, 0, -infinity, -infinity, -infinity, -infinity, -infinity));
}

TEST_P(Topk, NoColumns) {
  const auto cosine = run(context(), {Matrix(2, 0), Matrix(5, 0)}, {.k = 3});
  EXPECT_THAT(cosine.ids, ElementsAre(0, 1, 2, 0, 1, 2));
  EXPECT_THAT(cosine.scores, Each(0));
  const auto popular =
      run(context(), {Matrix(1, 0), Matrix(5, 0), {3, -1, 4, 4, 2}}, {.k = 5, .similarity = Similarity::dot});
  EXPECT_THAT(popular.ids, ElementsAre(2, 3, 0, 4, 1));
  EXPECT_THAT(popular.scores, ElementsAre(4, 4, 3, 2, -1));
}

TEST_P(Topk, NoQueries) { EXPECT_TRUE(run(context(), {Matrix(0, 3), normal_rows(5, 3, 1)}, {.k = 2}).ids.empty()); }

TEST_P(Topk, NotANumberIsNeverFound) {
  Matrix items = normal_rows(50, 4, 1);
  items.row(11)[2] = std::numeric_limits<float>::quiet_NaN();
  const auto found = run(context(), {normal_rows(3, 4, 2), items}, {.k = 50});
  for (int q = 0; q < 3; q++) {
    EXPECT_EQ(std::count(found.ids.begin() + q * 50, found.ids.begin() + (q + 1) * 50, 11), 0);
    EXPECT_EQ(found.ids[q * 50 + 48] >= 0, true);
    EXPECT_EQ(found.ids[q * 50 + 49], -1);
  }
}

TEST_P(Topk, PermutingItemsPermutesIds) {
  const auto queries = normal_rows(40, 24, 3), items = normal_rows(300, 24, 4);
  const auto order = permutation(300, 5);
  const auto found = run(context(), {queries, items}, {.k = 7});
  const auto moved = run(context(), {queries, rows_of(items, order)}, {.k = 7});
  for (size_t i = 0; i < found.ids.size(); i++) EXPECT_EQ(order[moved.ids[i]], found.ids[i]);
  EXPECT_EQ(found.scores, moved.scores);
}

TEST_P(Topk, AQueryGetsTheSameBitsAloneAndInABatch) {
  for (const int64_t d : {50, 400}) {
    const auto queries = normal_rows(16, d, 6), items = normal_rows(200, d, 7);
    const auto batch = run(context(), {queries, items}, {.k = 9});
    for (int32_t q = 0; q < 16; q++) {
      const auto alone = run(context(), {rows_of(queries, {q}), items}, {.k = 9});
      EXPECT_TRUE(std::equal(alone.ids.begin(), alone.ids.end(), batch.ids.begin() + q * 9));
      EXPECT_TRUE(std::equal(alone.scores.begin(), alone.scores.end(), batch.scores.begin() + q * 9));
    }
  }
}

TEST_P(Topk, NamesTheFault) {
  const auto rejects = [&](const TopkInputs& inputs, const TopkParams& params, const char* message) {
    EXPECT_THAT([&] { run(context(), inputs, params); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  const RandomLists three(3, 5, 0.5, 1);
  rejects({Matrix(2, 8), Matrix(5, 9)}, {.k = 1}, "queries have 8 columns, items 9");
  rejects({Matrix(2, 8), Matrix(5, 8)}, {.k = 0}, "k is 0, there are 5 items");
  rejects({Matrix(2, 8), Matrix(5, 8)}, {.k = 6}, "k is 6, there are 5 items");
  rejects({Matrix(2, 8), Matrix(0, 8)}, {.k = 1}, "k is 1, there are 0 items");
  rejects({Matrix(2, 8), Matrix(5, 8), {}, &three}, {.k = 1}, "3 rows of excluded ids for 2 queries");
  rejects({Matrix(2, 8), Matrix(5, 8), normals(5, 1)}, {.k = 1}, "item_bias requires similarity dot");
  EXPECT_THAT(
      [&] {
        topk(context(), {.queries = {nullptr, 2, 8}, .items = {nullptr, 5, 8}, .params = {.k = 3}, .found = {2, 4}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("found has 2 x 4 elements, expected 2 x 3")));
  EXPECT_THAT(
      [&] {
        topk(context(), {.queries = {nullptr, 1, 0}, .items = {nullptr, 1LL << 31, 0}, .found = {1, 10}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("2147483648 items, expected fewer than 2^31")));
}

// Plans with groups of queries, ranges of items, and both.
TEST(TopkCpu, TheSameBitsWhateverTheThreads) {
  for (const Isa isa : {Isa::v3, Isa::v4}) {
    if (!supported(isa)) continue;
    for (const auto& [q, n, d, k] :
         {TopkShape{1, 20000, 33, 10}, TopkShape{300, 9000, 7, 20}, TopkShape{1000, 300, 16, 5}}) {
      const RandomLists excluded(q, n, 0.01, 3);
      const TopkInputs inputs{normal_rows(q, d, 1), normal_rows(n, d, 2), {}, &excluded};
      Context one = Context::cpu(1, isa);
      const auto expected = run(one, inputs, {.k = k});
      for (const int threads : {2, 3, 5}) {
        Context several = Context::cpu(threads, isa);
        const auto found = run(several, inputs, {.k = k});
        EXPECT_EQ(found.ids, expected.ids) << threads;
        EXPECT_EQ(found.scores, expected.scores) << threads;
      }
    }
  }
}

TEST(TopkCpu, MoreThan2To31Pairs) {
  constexpr int64_t rows = 46'400;  // 2'152'960'000 pairs, more than 2^31
  static_assert(rows * rows > std::numeric_limits<int32_t>::max());
  Context context = Context::cpu();
  std::vector<float> items(rows), queries(rows);
  for (int64_t i = 0; i < rows; i++) {
    items[i] = static_cast<float>(i * 7919 % rows) / rows;
    queries[i] = i % 2 ? -1.f : 1.f;
  }
  items[rows - 1] = 2;
  items[rows - 2] = -2;
  const auto query_rows = upload(context, queries), item_rows = upload(context, items);
  const DeviceBuffer<float> scores(context, rows);
  const DeviceBuffer<int32_t> ids(context, rows);
  topk(context, {.queries = {query_rows.data(), rows, 1},
                 .items = {item_rows.data(), rows, 1},
                 .params = {.k = 1, .similarity = Similarity::dot},
                 .found = {rows, 1, scores.data(), ids.data()}});
  const auto found = ids.to_host();
  for (int64_t q = 0; q < rows; q++) ASSERT_EQ(found[q], q % 2 ? rows - 2 : rows - 1) << "query " << q;
  EXPECT_THAT(scores.to_host(), Each(2.f));
}

TEST(TopkCpu, InstructionSetsAgree) {
  if (!supported(Isa::v4)) GTEST_SKIP() << "this CPU lacks " << cuda::name(Isa::v4);
  const TopkInputs inputs{normal_rows(30, 77, 1), normal_rows(400, 77, 2)};
  Context v3 = Context::cpu(1, Isa::v3), v4 = Context::cpu(1, Isa::v4);
  EXPECT_THAT(run(v3, inputs, {.k = 400}).scores,
              Pointwise(::testing::FloatNear(1e-6), run(v4, inputs, {.k = 400}).scores));
}

}  // namespace
}  // namespace sartor::cuda
