// Compares contrastive_epoch on every backend with differences of its loss in double precision.
#include "factorization/ranking/contrastive.h"

#include <gmock/gmock.h>

#include "support/backends.h"
#include "support/naive_ranking.h"

namespace sartor::cuda {
namespace {

using ::testing::Each;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Shape {
  int64_t users, items, factors, negatives, batch;
  float history_weight;
};
std::string name(const Shape& shape) {
  return fmt::format("{}x{}_f{}_n{}_b{}_h{:.0f}", shape.users, shape.items, shape.factors, shape.negatives, shape.batch,
                     10 * shape.history_weight);
}

Matrix units(int64_t rows, int64_t columns, uint64_t seed) {
  Matrix matrix = normal_rows(rows, columns, seed);
  for (int64_t row = 0; row < rows; row++) {
    double squares = 0;
    for (int64_t at = 0; at < columns; at++) squares += double(matrix.row(row)[at]) * matrix.row(row)[at];
    for (int64_t at = 0; at < columns; at++) matrix.row(row)[at] /= static_cast<float>(std::sqrt(squares));
  }
  return matrix;
}

struct State {
  Matrix users, items;
  std::vector<float> user_squares, item_squares;
};

State start(int64_t users, int64_t items, int64_t factors) {
  return {units(users, factors, 1), units(items, factors, 2), std::vector<float>(users), std::vector<float>(items)};
}

IdLists view(const RandomLists& lists, const DeviceBuffer<int64_t>& offsets, const DeviceBuffer<int32_t>& ids) {
  return {std::ssize(lists.offsets) - 1, offsets.data(), ids.data()};
}

State train(Context& context, const RandomLists& chosen, const State& from, const std::vector<uint64_t>& seeds,
            const ContrastiveParams& params) {
  const auto offsets = upload(context, chosen.offsets);
  const auto ids = upload(context, chosen.ids);
  const DeviceRows users(context, from.users), items(context, from.items);
  const auto of_users = upload(context, from.user_squares), of_items = upload(context, from.item_squares);
  for (const uint64_t seed : seeds) {
    contrastive_epoch(context, {.chosen = view(chosen, offsets, ids),
                                .users = users.view(),
                                .items = items.view(),
                                .user_squares = of_users.data(),
                                .item_squares = of_items.data(),
                                .seed = seed,
                                .params = params});
  }
  return {users.download(), items.download(), of_users.to_host(), of_items.to_host()};
}

class ContrastiveTest : public BackendTest<Shape> {};

TEST_P(ContrastiveTest, DescendsTheLoss) {
  const auto [users, items, factors, negatives, batch, history_weight] = shape();
  const RandomLists chosen(users, items, 0.3, 7);
  const ContrastiveParams params = {.learning_rate = 0.3f,
                                    .margin = 0.1f,
                                    .negative_weight = 3,
                                    .negatives = negatives,
                                    .batch = batch,
                                    .history_weight = history_weight};
  const State from = start(users, items, factors);
  NaiveContrastive naive = {doubles(from.users), doubles(from.items), std::vector<double>(users),
                            std::vector<double>(items)};
  for (const uint64_t seed : {5, 6}) naive.train(chosen, seed, params);
  const State found = train(context(), chosen, from, {5, 6}, params);
  const auto expect_near = [](const Matrix& rows, const Doubles& expected) {
    for (int64_t row = 0; row < rows.rows; row++) {
      for (int64_t f = 0; f < rows.columns; f++) ASSERT_NEAR(rows.row(row)[f], expected[row][f], 5e-5) << row;
    }
  };
  expect_near(found.users, naive.users);
  expect_near(found.items, naive.items);

  const auto offsets = upload(context(), chosen.offsets);
  const auto ids = upload(context(), chosen.ids);
  const DeviceRows own(context(), found.users), of_items(context(), found.items), vectors(context(), found.users);
  contrastive_users(context(), {.chosen = view(chosen, offsets, ids),
                                .users = own.view(),
                                .items = of_items.view(),
                                .history_weight = history_weight,
                                .vectors = vectors.view()});
  const Matrix of_users = vectors.download();
  for (int32_t user = 0; user < users; user++) {
    const bool empty = chosen.offsets[user] == chosen.offsets[user + 1];
    const auto expected = naive.vector_of(chosen, user, history_weight);
    for (int64_t f = 0; f < factors; f++) ASSERT_NEAR(of_users.row(user)[f], empty ? 0 : expected[f], 5e-5) << user;
  }
}

INSTANTIATE_BACKENDS(ContrastiveTest, Shape{1, 2, 2, 1, 1, 0}, Shape{9, 11, 3, 40, 4, 0},
                     Shape{13, 17, 17, 33, 5, 0.5f}, Shape{20, 14, 16, 65, 20, 1}, Shape{30, 10, 33, 16, 64, 0.3f},
                     Shape{70, 12, 5, 40, 64, 0.2f}, Shape{3, 5, 800, 7, 2, 0.5f});

TEST(Contrastive, BitsDoNotDependOnThreads) {
  const RandomLists chosen(150, 90, 0.1, 3);
  const State from = start(150, 90, 24);
  std::vector<State> found;
  for (const int threads : {1, 2, 3, 7}) {
    auto context = Context::cpu(threads);
    found.push_back(train(context, chosen, from, {1, 2, 3},
                          {.margin = 0.2f, .negatives = 100, .batch = 40, .history_weight = 0.4f}));
  }
  for (const State& one : found) {
    EXPECT_EQ(one.users.values, found[0].users.values);
    EXPECT_EQ(one.items.values, found[0].items.values);
    EXPECT_EQ(one.item_squares, found[0].item_squares);
  }
}

// Without positives in common, a user's negatives turn away from her, but not what she has chosen.
TEST(Contrastive, ChosenItemsAreNotNegatives) {
  auto context = Context::cpu(1);
  RandomLists chosen(1, 3, 0, 1);
  chosen.ids = {0, 1, 2};
  chosen.offsets = {0, 3};
  const State from = start(1, 3, 8);
  const auto with = train(context, chosen, from, {1}, {.margin = -1, .negative_weight = 1000, .negatives = 50});
  const auto without = train(context, chosen, from, {1}, {.margin = -1, .negative_weight = 0, .negatives = 50});
  EXPECT_EQ(with.items.values, without.items.values);
  EXPECT_EQ(with.users.values, without.users.values);
}

TEST(Contrastive, OneFactorAndUsersWithoutItemsStayFinite) {
  auto context = Context::cpu(2);
  const RandomLists chosen(5, 4, 0.2, 4);
  const auto one = train(context, chosen, start(5, 4, 1), {1, 2}, {.margin = 0, .negatives = 3, .batch = 2});
  for (const float value : one.items.values) EXPECT_FLOAT_EQ(std::abs(value), 1);
  const RandomLists none(5, 4, 0, 4);
  const State from = start(5, 4, 6);
  const auto same = train(context, none, from, {1}, {});
  EXPECT_EQ(same.users.values, from.users.values);
  EXPECT_EQ(same.items.values, from.items.values);
}

TEST(Contrastive, ErrorsNameWhatIsOutOfRange) {
  auto context = Context::cpu(1);
  const RandomLists chosen(4, 5, 0.5, 1);
  const auto expect = [&](const State& from, const ContrastiveParams& params, const std::string& text) {
    EXPECT_THAT([&] { train(context, chosen, from, {1}, params); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(text)));
  };
  expect(start(4, 5, 3), {.learning_rate = 0}, "learning_rate is 0, expected more than 0");
  expect(start(4, 5, 3), {.margin = 1.5f}, "margin is 1.5, expected -1 to 1");
  expect(start(4, 5, 3), {.negative_weight = -1}, "negative_weight is -1, expected 0 or more");
  expect(start(4, 5, 3), {.negatives = 0}, "negatives is 0, expected 1 to 1048576");
  expect(start(4, 5, 3), {.batch = 0}, "batch is 0, expected 1 to 1048576");
  expect(start(4, 5, 3), {.history_weight = 2}, "history_weight is 2, expected 0 to 1");
  expect({Matrix(4, 3), Matrix(5, 2), std::vector<float>(4), std::vector<float>(5)}, {},
         "users have 3 factors, items 2");
  expect({Matrix(3, 2), Matrix(5, 2), std::vector<float>(3), std::vector<float>(5)}, {},
         "4 lists of items for 3 users");
}

// One of two ranks whose other one has only zeros: so have the users whom that one would have computed.
TEST(Contrastive, EachRankComputesItsPartOfABatch) {
  class Half : public Peers {
   public:
    explicit Half(int rank) : rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return 2; }
    void gather(std::span<float> all, std::span<const int64_t> bounds) override {
      EXPECT_EQ(bounds.size(), 3u);
      EXPECT_EQ(bounds.back(), std::ssize(all));
      std::fill(all.begin() + bounds[1 - rank_], all.begin() + bounds[2 - rank_], 0.0f);
    }
    void gather(std::span<int32_t> all, std::span<const int64_t> bounds) override {
      EXPECT_EQ(bounds.back(), std::ssize(all));
    }

   private:
    int rank_;
  };
  constexpr int64_t number = 120;
  const RandomLists chosen(number, 50, 0.3, 7);
  auto context = Context::cpu(2);
  const auto offsets = upload(context, chosen.offsets);
  const auto ids = upload(context, chosen.ids);
  std::vector<int> computed(number);
  for (const int rank : {0, 1}) {
    const State from = start(number, 50, 8);
    const DeviceRows users(context, from.users), items(context, from.items);
    const auto of_users = upload(context, from.user_squares), of_items = upload(context, from.item_squares);
    Half half(rank);
    contrastive_epoch(context, {.chosen = view(chosen, offsets, ids),
                                .users = users.view(),
                                .items = items.view(),
                                .user_squares = of_users.data(),
                                .item_squares = of_items.data(),
                                .seed = 3,
                                .params = {.negatives = 20, .batch = 60},
                                .peers = &half});
    const Matrix found = users.download();
    int64_t own = 0;
    for (int64_t user = 0; user < number; user++) {
      const bool is_own = std::ranges::any_of(std::span(found.row(user), 8), [](float x) { return x != 0; });
      own += is_own;
      computed[user] += is_own;
    }
    EXPECT_NEAR(double(own), 60, 15) << rank;
  }
  EXPECT_THAT(computed, Each(1));
}

}  // namespace
}  // namespace sartor::cuda
