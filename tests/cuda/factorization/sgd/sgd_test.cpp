// Compares sgd_rounds on every backend with the same updates in double precision, one after the other.
#include "factorization/sgd/sgd.h"

#include <gmock/gmock.h>

#include "base/random.h"
#include "support/backends.h"
#include "support/naive_sgd.h"

namespace sartor::cuda {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Shape {
  int64_t factors, blocks;
  bool adagrad = false;
};
std::string name(const Shape& shape) {
  return fmt::format("f{}_b{}{}", shape.factors, shape.blocks, shape.adagrad ? "_adagrad" : "");
}

constexpr int64_t user_count = 23, item_count = 17;

// Random ratings by cell, where row r belongs to block r % blocks.
struct Ratings {
  std::vector<SgdRating> ratings;
  std::vector<int64_t> cells = {0};
  int64_t blocks;

  explicit Ratings(int64_t blocks, double density = 0.5) : blocks(blocks) {
    for (int64_t cell = 0; cell < blocks * blocks; cell++) {
      for (int32_t user = cell / blocks; user < user_count; user += blocks) {
        for (int32_t item = cell % blocks; item < item_count; item += blocks) {
          const uint64_t bits = random_bits(5, user * item_count + item);
          if (bits % 1000 < 1000 * density) ratings.push_back({user, item, static_cast<float>(bits / 1000 % 5) - 2});
        }
      }
      cells.push_back(std::ssize(ratings));
    }
  }
};

// Users and items on a device.
struct SideOnDevice {
  DeviceBuffer<float> rows, weights, squares;
  int64_t count, columns;

  SideOnDevice(Context& context, const NaiveSide& side, bool adagrad)
      : rows(upload(context, floats(side.values))),
        weights(upload(context, side.weights)),
        squares(upload(context, adagrad ? floats(side.squares) : std::vector<float>())),
        count(side.rows),
        columns(side.columns) {}
  SgdSide side() const { return {{rows.data(), count, columns}, weights.data(), squares.data()}; }
};

constexpr SgdParams params = {
    .learning_rate = 0.03f, .bias_learning_rate = 0.02f, .regularization = 0.1f, .bias_regularization = 0.05f};

struct Trial {
  NaiveSide users, items;
  Ratings made;
  DeviceBuffer<SgdRating> ratings;
  SideOnDevice device_users, device_items;

  Trial(Context& context, int64_t factors, int64_t blocks, bool adagrad)
      : users(random_side(user_count, factors, 1, 1)),
        items(random_side(item_count, factors, 0, 2)),
        made(blocks),
        ratings(upload(context, made.ratings)),
        device_users(context, users, adagrad),
        device_items(context, items, adagrad) {}

  SgdTask task(int64_t factors, double& error) const {
    return {.grid = {ratings.data(), made.cells.data(), made.blocks},
            .first_users = 0,
            .last_users = made.blocks,
            .first_round = 1,
            .last_round = 1 + made.blocks,
            .factors = factors,
            .users = device_users.side(),
            .items = device_items.side(),
            .params = params,
            .squared_error = &error};
  }
};

class SgdTest : public BackendTest<Shape> {};

TEST_P(SgdTest, EqualsTheSameUpdatesOneAfterTheOther) {
  const auto [factors, blocks, adagrad] = shape();
  Trial run(context(), factors, blocks, adagrad);
  double found = 0, expected = 0;
  for (int epoch = 0; epoch < 3; epoch++) {
    sgd_rounds(context(), run.task(factors, found));
    expected = 0;
    for (int64_t round = 1; round <= blocks; round++) {
      for (int64_t users = 0; users < blocks; users++) {
        const int64_t cell = users * blocks + (users + round) % blocks;
        for (int64_t at = run.made.cells[cell]; at < run.made.cells[cell + 1]; at++) {
          expected += naive_step(run.users, run.items, run.made.ratings[at], factors, adagrad, params);
        }
      }
    }
  }
  EXPECT_NEAR(found, expected, 1e-4 * expected);
  const auto expect_near = [](const std::vector<float>& found, const std::vector<double>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t at = 0; at < found.size(); at++) ASSERT_NEAR(found[at], expected[at], 2e-5) << at;
  };
  expect_near(run.device_users.rows.to_host(), run.users.values);
  expect_near(run.device_items.rows.to_host(), run.items.values);
  if (adagrad) expect_near(run.device_users.squares.to_host(), run.users.squares);
}

// 14 factors fill one vector of 16 columns; 126 are the most with a constant number of vectors.
INSTANTIATE_BACKENDS(SgdTest, Shape{1, 1}, Shape{7, 3}, Shape{14, 2}, Shape{15, 5, true}, Shape{30, 1}, Shape{62, 4},
                     Shape{64, 3}, Shape{80, 1}, Shape{96, 2}, Shape{112, 17}, Shape{126, 3, true}, Shape{300, 3, true},
                     Shape{2049, 2});

std::vector<float> trained(int threads, bool deterministic, int epochs, double* error = nullptr) {
  auto context = Context::cpu(threads);
  Trial run(context, 20, 5, false);
  double last = 0;
  SgdTask task = run.task(20, last);
  task.params.deterministic = deterministic;
  for (int epoch = 0; epoch < epochs; epoch++) sgd_rounds(context, task);
  if (error) *error = last;
  return run.device_users.rows.to_host();
}

TEST(Sgd, BitsDoNotDependOnTheNumberOfThreads) {
  const auto one = trained(1, true, 4);
  for (const int threads : {2, 3, 8}) EXPECT_TRUE(trained(threads, true, 4) == one) << threads;
}

TEST(Sgd, InAnyOrderItLearnsTheSame) {
  double in_rounds = 0, free = 0;
  trained(1, true, 30, &in_rounds);
  for (const int threads : {2, 4, 8}) {
    trained(threads, false, 30, &free);
    EXPECT_NEAR(free, in_rounds, 0.02 * in_rounds) << threads;
  }
}

TEST(Sgd, SomeBlocksOfUsersForAllRoundsDoNotDependOnTheNumberOfThreads) {
  const auto trained = [](int threads, int64_t first, int64_t last) {
    auto context = Context::cpu(threads);
    Trial run(context, 20, 6, false);
    double error = 0;
    SgdTask task = run.task(20, error);
    task.first_users = first;
    task.last_users = last;
    for (int epoch = 0; epoch < 3; epoch++) sgd_rounds(context, task);
    return run.device_items.rows.to_host();
  };
  for (const auto& [first, last] : {std::pair(0, 5), std::pair(2, 4), std::pair(5, 6), std::pair(3, 3)}) {
    const auto one = trained(1, first, last);
    for (const int threads : {2, 4}) EXPECT_TRUE(trained(threads, first, last) == one) << first << ' ' << threads;
  }
}

TEST(Sgd, PartsOfTheBlocksOfARoundAreThoseOfTheWhole) {
  auto context = Context::cpu(2);
  Trial whole(context, 9, 5, false), parts(context, 9, 5, false);
  double error = 0, error_of_part = 0, sum = 0;
  sgd_rounds(context, whole.task(9, error));
  for (int64_t round = 1; round < 6; round++) {
    for (const auto& [first, last] : {std::pair(3, 5), std::pair(0, 3)}) {
      SgdTask task = parts.task(9, error_of_part);
      task.first_round = round;
      task.last_round = round + 1;
      task.first_users = first;
      task.last_users = last;
      sgd_rounds(context, task);
      sum += error_of_part;
    }
  }
  EXPECT_TRUE(parts.device_items.rows.to_host() == whole.device_items.rows.to_host());
  EXPECT_DOUBLE_EQ(sum, error);
}

// Whoever trains the cells can add up their errors in the order of the whole.
TEST(Sgd, ErrorsOfCellsAreThoseOfTheWhole) {
  auto context = Context::cpu(2);
  Trial whole(context, 9, 5, false), parts(context, 9, 5, false);
  double error = 0, error_of_parts = 0;
  sgd_rounds(context, whole.task(9, error));
  std::vector<double> first_blocks(25), last_blocks(25);
  for (int64_t round = 1; round < 6; round++) {
    for (auto* errors : {&first_blocks, &last_blocks}) {
      SgdTask task = parts.task(9, error_of_parts);
      task.first_round = round;
      task.last_round = round + 1;
      task.first_users = errors == &first_blocks ? 0 : 2;
      task.last_users = errors == &first_blocks ? 2 : 5;
      task.cell_errors = errors->data();
      sgd_rounds(context, task);
    }
  }
  double sum = 0;
  for (int64_t cell = 0; cell < 25; cell++) {
    EXPECT_EQ(cell < 10 ? last_blocks[cell] : first_blocks[cell], 0);
    sum += first_blocks[cell] + last_blocks[cell];
  }
  EXPECT_EQ(sum, error);
}

TEST(Sgd, RatingsThatAreNotFiniteReachOnlyTheirRows) {
  auto context = Context::cpu(1);
  Trial run(context, 5, 1, false);
  const std::vector<SgdRating> one = {{3, 4, NAN}};
  run.ratings.write(one, 0);
  double error = 0;
  SgdTask task = run.task(5, error);
  const std::vector<int64_t> cells = {0, 1};
  task.grid.cells = cells.data();
  sgd_rounds(context, task);
  EXPECT_TRUE(std::isnan(run.device_users.rows.to_host()[3 * 16 + 2]));
  EXPECT_FALSE(std::isnan(run.device_users.rows.to_host()[2 * 16 + 2]));
}

TEST(Sgd, RefusesShapesThatDoNotFit) {
  auto context = Context::cpu(1);
  double error = 0;
  const auto refused = [&](const std::string& what, auto change) {
    Trial run(context, 20, 2, false);
    SgdTask task = run.task(20, error);
    change(task);
    EXPECT_THAT([&] { sgd_rounds(context, task); }, ThrowsMessage<std::invalid_argument>(HasSubstr(what)));
  };
  refused("sgd_rounds: users have 16 columns, items 32", [](SgdTask& task) { task.users.rows.columns = 16; });
  refused("40 columns, expected a multiple of 16",
          [](SgdTask& task) { task.users.rows.columns = task.items.rows.columns = 40; });
  refused("31 factors, expected 1 to 30 for 32 columns", [](SgdTask& task) { task.factors = 31; });
  refused("0 factors", [](SgdTask& task) { task.factors = 0; });
  refused("either both sides or none", [](SgdTask& task) { task.users.squares = task.users.rows.data; });
  refused("0 blocks", [](SgdTask& task) { task.grid.blocks = 0; });
  refused("blocks of users 0 to 3, expected at most 2", [](SgdTask& task) { task.last_users = 3; });
  refused("rounds 1 to 4, expected at most 2", [](SgdTask& task) { task.last_round = 4; });
  refused("learning_rate is 0", [](SgdTask& task) { task.params.learning_rate = 0; });
}

}  // namespace
}  // namespace sartor::cuda
