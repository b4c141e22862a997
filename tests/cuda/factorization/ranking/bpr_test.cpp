// Compares bpr_epoch on every backend with the same steps in double precision.
#include "factorization/ranking/bpr.h"

#include <gmock/gmock.h>

#include "support/backends.h"
#include "support/naive_ranking.h"

namespace sartor::cuda {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Shape {
  int64_t users, items, factors, blocks, candidates;
};
std::string name(const Shape& shape) {
  return fmt::format("{}x{}_f{}_b{}_c{}", shape.users, shape.items, shape.factors, shape.blocks, shape.candidates);
}

PairGrid plan(const RandomLists& chosen, int64_t items, int64_t blocks, uint64_t seed, int threads = 2) {
  PairGrid grid;
  plan_pairs({std::ssize(chosen.offsets) - 1, chosen.offsets.data(), chosen.ids.data()}, items, blocks, seed, threads,
             grid);
  return grid;
}

struct Factors {
  Matrix users, items;
  std::vector<float> bias;
};

Factors start(int64_t users, int64_t items, int64_t factors) {
  Factors made = {normal_rows(users, factors, 1), normal_rows(items, factors, 2), normals(items, 3)};
  for (float& value : made.users.values) value /= std::sqrt(static_cast<float>(factors));
  return made;
}

// by_parts: diagonal by diagonal, the first row before the others.
Factors train(Context& context, const RandomLists& chosen, const PairGrid& grid, const Factors& factors, uint64_t seed,
              const BprParams& params, bool by_parts = false) {
  const auto offsets = upload(context, chosen.offsets);
  const auto ids = upload(context, chosen.ids);
  const DeviceRows users(context, factors.users), items(context, factors.items);
  const auto bias = upload(context, factors.bias);
  const auto cells = upload(context, grid.cells), bounds = upload(context, grid.item_bounds);
  const auto pair_users = upload(context, grid.users), pair_items = upload(context, grid.items);
  const auto order = upload(context, grid.item_order);
  BprTask task = {.chosen = {factors.users.rows, offsets.data(), ids.data()},
                  .users = users.view(),
                  .items = items.view(),
                  .item_bias = bias.data(),
                  .blocks = grid.blocks,
                  .cells = cells.data(),
                  .pair_users = pair_users.data(),
                  .pair_items = pair_items.data(),
                  .item_bounds = bounds.data(),
                  .item_order = order.data(),
                  .seed = seed,
                  .params = params};
  for (int64_t diagonal = 0; by_parts && diagonal < grid.blocks; diagonal++) {
    task.first_diagonal = diagonal;
    task.last_diagonal = diagonal + 1;
    for (const auto& [first, last] : {std::pair<int64_t, int64_t>(0, 1), {1, 1}, {1, grid.blocks}}) {
      task.first_row = first;
      task.last_row = last;
      bpr_epoch(context, task);
    }
  }
  if (!by_parts) bpr_epoch(context, task);
  return {users.download(), items.download(), bias.to_host()};
}

class BprTest : public BackendTest<Shape> {};

void expect_steps(Context& context, const Shape& shape, const RandomLists& chosen) {
  const auto [users, items, factors, blocks, candidates] = shape;
  const PairGrid grid = plan(chosen, items, blocks, 11);
  const BprParams params = {.learning_rate = 0.05f, .regularization = 0.02f, .candidates = candidates};
  const Factors from = start(users, items, factors);
  NaiveBpr naive = {doubles(from.users), doubles(from.items), {from.bias.begin(), from.bias.end()}};
  naive.train(chosen, grid, 5, params);
  const Factors found = train(context, chosen, grid, from, 5, params);
  for (int64_t user = 0; user < users; user++) {
    for (int64_t f = 0; f < factors; f++) ASSERT_NEAR(found.users.row(user)[f], naive.users[user][f], 2e-5) << user;
  }
  for (int64_t item = 0; item < items; item++) {
    for (int64_t f = 0; f < factors; f++) ASSERT_NEAR(found.items.row(item)[f], naive.items[item][f], 2e-5) << item;
    ASSERT_NEAR(found.bias[item], naive.bias[item], 2e-5) << item;
  }
}

TEST_P(BprTest, PartsGiveTheWhole) {
  const auto [users, items, factors, blocks, candidates] = shape();
  const RandomLists chosen(users, items, 0.3, 7);
  const PairGrid grid = plan(chosen, items, blocks, 11);
  const Factors from = start(users, items, factors);
  const Factors whole = train(context(), chosen, grid, from, 5, {.candidates = candidates});
  const Factors parts = train(context(), chosen, grid, from, 5, {.candidates = candidates}, true);
  EXPECT_EQ(parts.users.values, whole.users.values);
  EXPECT_EQ(parts.items.values, whole.items.values);
  EXPECT_EQ(parts.bias, whole.bias);
}

TEST_P(BprTest, EqualsTheStepsInDoublePrecision) {
  expect_steps(context(), shape(), RandomLists(shape().users, shape().items, 0.3, 7));
}

// Most draws are of chosen items, and some pairs are skipped.
TEST_P(BprTest, EqualsTheStepsOfUsersWhoHaveChosenAlmostAll) {
  expect_steps(context(), shape(), RandomLists(shape().users, shape().items, 0.9, 8));
}

INSTANTIATE_BACKENDS(BprTest, Shape{1, 2, 1, 1, 1}, Shape{13, 17, 7, 1, 1}, Shape{29, 31, 16, 4, 1},
                     Shape{40, 23, 33, 5, 3}, Shape{8, 9, 64, 8, 16}, Shape{5, 300, 19, 2, 256},
                     Shape{9, 45, 33, 1, 1});

TEST(Bpr, BitsDoNotDependOnThreads) {
  const RandomLists chosen(200, 150, 0.1, 3);
  const Factors from = start(200, 150, 24);
  std::vector<Factors> found;
  for (const int threads : {1, 2, 3, 7}) {
    auto context = Context::cpu(threads);
    found.push_back(train(context, chosen, plan(chosen, 150, 8, 1, threads), from, 2, {.candidates = 4}));
  }
  for (const Factors& one : found) {
    EXPECT_EQ(one.users.values, found[0].users.values);
    EXPECT_EQ(one.items.values, found[0].items.values);
    EXPECT_EQ(one.bias, found[0].bias);
  }
}

// -ln sigma(0) = ln 2 has the slope 1/2.
TEST(Bpr, ATieMovesByHalfTheRate) {
  auto context = Context::cpu(1);
  RandomLists chosen(1, 2, 0, 1);
  chosen.ids = {1};
  chosen.offsets = {0, 1};
  const Factors zeros = {Matrix(1, 3), Matrix(2, 3), {0, 0}};
  const auto found = train(context, chosen, plan(chosen, 2, 1, 1), zeros, 1, {.learning_rate = 0.5f});
  EXPECT_FLOAT_EQ(found.bias[1], 0.25f);
  EXPECT_FLOAT_EQ(found.bias[0], -0.25f);
}

TEST(Bpr, NegativesAreNeverChosenItems) {
  auto context = Context::cpu(1);
  RandomLists chosen(6, 40, 0.7, 5);  // user 5 chooses everything
  chosen.ids.resize(chosen.offsets[5]);
  for (int32_t item = 0; item < 40; item++) chosen.ids.push_back(item);
  chosen.offsets[6] = std::ssize(chosen.ids);
  Factors from = {Matrix(6, 2), Matrix(40, 2), std::vector<float>(40)};
  for (int seed = 0; seed < 50; seed++) {
    from = train(context, chosen, plan(chosen, 40, 2, seed), from, seed, {.learning_rate = 0.01f, .candidates = 2});
  }
  for (int32_t item = 0; item < 40; item++) {
    bool by_all = true;
    for (int64_t user = 0; user < 6; user++) by_all = by_all && chooses(chosen, user, item);
    if (!by_all) continue;
    EXPECT_GE(from.bias[item], 0) << "a positive of everyone never falls";
  }
  EXPECT_THAT(std::vector(from.users.row(5), from.users.row(5) + 2), Each(0)) << "no negatives: no steps";
}

TEST(Bpr, ErrorsNameWhatIsOutOfRange) {
  auto context = Context::cpu(1);
  const RandomLists chosen(4, 5, 0.5, 1);
  const auto grid = plan(chosen, 5, 2, 1);
  const auto expect = [&](const Factors& from, const BprParams& params, const std::string& text) {
    EXPECT_THAT([&] { train(context, chosen, grid, from, 1, params); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  expect(start(4, 5, 3), {.learning_rate = 0}, "learning_rate is 0, expected more than 0");
  expect(start(4, 5, 3), {.learning_rate = NAN}, "learning_rate is nan, expected more than 0");
  expect(start(4, 5, 3), {.regularization = -1}, "regularization is -1, expected 0 or more");
  expect(start(4, 5, 3), {.candidates = 0}, "candidates is 0, expected 1 to 256");
  expect(start(4, 5, 3), {.candidates = 257}, "candidates is 257, expected 1 to 256");
  expect({Matrix(4, 3), Matrix(5, 2), std::vector<float>(5)}, {}, "users have 3 factors, items 2");
  expect({Matrix(4, 0), Matrix(5, 0), std::vector<float>(5)}, {}, "0 factors, expected 1 or more");
}

TEST(Bpr, PartsThatAreOutOfRangeAreNamed) {
  auto context = Context::cpu(1);
  const auto expect = [&](const std::string& text, auto change) {
    BprTask task = {};
    task.users = {nullptr, 0, 3};
    task.items = {nullptr, 0, 3};
    task.blocks = 4;
    change(task);
    EXPECT_THAT([&] { bpr_epoch(context, task); }, ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  expect("bpr_epoch: rows 3 to 2, expected at most 4", [](BprTask& task) {
    task.first_row = 3;
    task.last_row = 2;
  });
  expect("bpr_epoch: rows 0 to 5, expected at most 4", [](BprTask& task) { task.last_row = 5; });
  expect("bpr_epoch: diagonals -1 to 4, expected at most 4", [](BprTask& task) { task.first_diagonal = -1; });
  expect("bpr_epoch: diagonals 0 to 5, expected at most 4", [](BprTask& task) { task.last_diagonal = 5; });
}

TEST(PairGrid, HasTheRowsThatAreAskedFor) {
  const RandomLists chosen(37, 29, 0.2, 9);
  const PairGrid whole = plan(chosen, 29, 7, 4);
  PairGrid some;
  plan_pairs({37, chosen.offsets.data(), chosen.ids.data()}, 29, 7, 4, 2, some, 2, 5);
  EXPECT_EQ(some.item_order, whole.item_order);
  EXPECT_EQ(some.user_bounds, whole.user_bounds);
  for (int64_t cell = 2 * 7; cell < 5 * 7; cell++) {
    ASSERT_EQ(some.cells[cell], whole.cells[cell]);
    ASSERT_EQ(some.cells[cell + 1], whole.cells[cell + 1]);
    for (int64_t at = some.cells[cell]; at < some.cells[cell + 1]; at++) {
      EXPECT_EQ(some.users[at], whole.users[at]);
      EXPECT_EQ(some.items[at], whole.items[at]);
    }
  }
}

TEST(PairGrid, HasEveryPairOnceInItsCell) {
  for (const int64_t blocks : {1, 3, 7}) {
    const RandomLists chosen(37, 29, 0.2, 9);
    const PairGrid grid = plan(chosen, 29, blocks, 4);
    std::vector<int64_t> block_of(29);
    for (int64_t block = 0; block < blocks; block++) {
      for (int64_t at = grid.item_bounds[block]; at < grid.item_bounds[block + 1]; at++) {
        block_of[grid.item_order[at]] = block;
      }
    }
    std::set<std::pair<int32_t, int32_t>> pairs;
    std::map<int32_t, int64_t> row_of;  // of each user
    for (int64_t cell = 0; cell < blocks * blocks; cell++) {
      for (int64_t at = grid.cells[cell]; at < grid.cells[cell + 1]; at++) {
        EXPECT_EQ(block_of[grid.items[at]], cell % blocks);
        EXPECT_EQ(row_of.emplace(grid.users[at], cell / blocks).first->second, cell / blocks);
        EXPECT_TRUE(chooses(chosen, grid.users[at], grid.items[at]));
        pairs.emplace(grid.users[at], grid.items[at]);
      }
    }
    EXPECT_EQ(pairs.size(), chosen.ids.size());
    EXPECT_NE(plan(chosen, 29, blocks, 5).items, grid.items) << "another epoch, another order";
    EXPECT_EQ(plan(chosen, 29, blocks, 4, 1).items, grid.items);
  }
}

}  // namespace
}  // namespace sartor::cuda
