// Compares svdpp_epoch on every instruction set of the CPU with the same updates in double precision.
#include "factorization/sgd/svdpp.h"

#include <gmock/gmock.h>

#include "base/random.h"
#include "models/factorization/gradient/user_batches.h"
#include "support/backends.h"
#include "support/naive_sgd.h"

namespace sartor::cuda {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t user_count = 29, item_count = 13;
constexpr SgdParams params = {
    .learning_rate = 0.02f, .bias_learning_rate = 0.03f, .regularization = 0.1f, .bias_regularization = 0.05f};

// User 4 has no ratings, user 5 all.
UserRatings made_ratings() {
  UserRatings ratings;
  for (int32_t user = 0; user < user_count; user++) {
    for (int32_t item = 0; item < item_count; item++) {
      const uint64_t bits = random_bits(5, user * item_count + item);
      if (user == 4 || (user != 5 && bits % 3 != 0)) continue;
      ratings.items.push_back(item);
      ratings.values.push_back(static_cast<float>(bits / 1000 % 5) - 2);
    }
    ratings.offsets.push_back(std::ssize(ratings.items));
  }
  return ratings;
}

struct Model {
  NaiveSide users, items, implicit;

  explicit Model(int64_t factors)
      : users(random_side(user_count, factors, 1, 1)),
        items(random_side(item_count, factors, 0, 2)),
        implicit(random_side(item_count, factors, -1, 3)) {
    implicit.weights = items.weights;
  }
};

double norm_of(const UserRatings& ratings, int64_t user) {
  return 1 / std::sqrt(double(ratings.offsets[user + 1] - ratings.offsets[user]));
}

std::vector<double> described(Model& model, const UserRatings& ratings, int64_t user) {
  std::vector<double> z(model.users.row(user), model.users.row(user) + model.users.columns);
  for (int64_t k = ratings.offsets[user]; k < ratings.offsets[user + 1]; k++) {
    for (size_t c = 0; c < z.size(); c++) z[c] += norm_of(ratings, user) * model.implicit.row(ratings.items[k])[c];
  }
  return z;
}

// Updates the user and returns the sum of e q.
std::vector<double> naive_user(Model& model, const UserRatings& ratings, int64_t user, double& squares) {
  std::vector<double> total(model.users.columns);
  const std::vector<double> start(model.users.row(user), model.users.row(user) + model.users.columns);
  const auto z = described(model, ratings, user);
  for (int64_t k = ratings.offsets[user]; k < ratings.offsets[user + 1]; k++) {
    const double* q = model.items.row(ratings.items[k]);
    const std::vector<double> item(q, q + model.items.columns);
    double error = ratings.values[k];
    for (size_t c = 0; c < z.size(); c++) error -= (z[c] - start[c] + model.users.row(user)[c]) * item[c];
    squares += error * error;
    for (size_t c = 0; c < z.size(); c++) total[c] += error * item[c];
    descend(model.users, user, item, error, 0, 1, false, params);
  }
  return total;
}

double naive_epoch(Model& model, const UserRatings& ratings, const UserBatches& batches) {
  double squares = 0;
  const auto count = std::ssize(batches.users);
  for (int64_t first = 0; first < count; first += batches.batch_users) {
    const auto batch = std::span(batches.users).subspan(first, std::min(batches.batch_users, count - first));
    std::vector<std::vector<double>> totals, z;
    for (const int32_t user : batch) totals.push_back(naive_user(model, ratings, user, squares));
    for (const int32_t user : batch) z.push_back(described(model, ratings, user));
    for (size_t place = 0; place < batch.size(); place++) {
      const int32_t user = batch[place];
      for (int64_t k = ratings.offsets[user]; k < ratings.offsets[user + 1]; k++) {
        const int32_t item = ratings.items[k];
        const double error = ratings.values[k] - dot(z[place].data(), model.items.row(item), model.items.columns);
        descend(model.items, item, z[place], error, 1, 1, false, params);
        auto pull = totals[place];
        pull[0] = pull[1] = 0;
        descend(model.implicit, item, pull, norm_of(ratings, user), -1, 1, false, params);
      }
    }
  }
  return squares;
}

struct Shape {
  int64_t factors, batch_users;
};
std::string name(const Shape& shape) { return fmt::format("f{}_b{}", shape.factors, shape.batch_users); }

// Epochs on a device: users, items, implicit and the last squared error.
std::vector<std::vector<float>> trained(Context& context, const Model& model, const UserRatings& ratings,
                                        const UserBatches& batches, int epochs) {
  std::vector<DeviceBuffer<float>> rows, weights;
  for (const NaiveSide* side : {&model.users, &model.items, &model.implicit}) {
    rows.push_back(upload(context, sartor::floats(side->values)));
    weights.push_back(upload(context, side->weights));
  }
  const int64_t columns = model.users.columns;
  double error = 0;
  const SvdppTask task = {.ratings = {user_count, ratings.offsets.data(), ratings.items.data(), ratings.values.data()},
                          .batches = batches.view(),
                          .users = {{rows[0].data(), user_count, columns}, weights[0].data(), nullptr},
                          .items = {{rows[1].data(), item_count, columns}, weights[1].data(), nullptr},
                          .implicit = {rows[2].data(), item_count, columns},
                          .params = params,
                          .squared_error = &error};
  for (int epoch = 0; epoch < epochs; epoch++) svdpp_epoch(context, task);
  return {rows[0].to_host(), rows[1].to_host(), rows[2].to_host(), {static_cast<float>(error)}};
}

class SvdppTest : public BackendTest<Shape> {};

TEST_P(SvdppTest, EqualsTheSameUpdatesOneAfterTheOther) {
  if (backend() == TestBackend::gpu) GTEST_SKIP() << "svdpp_epoch runs on CPUs only";
  const auto [factors, batch_users] = shape();
  const auto ratings = made_ratings();
  const auto batches = random_batches(ratings, batch_users, 7);
  Model model(factors);
  const auto found = trained(context(), model, ratings, batches, 3);
  double expected = 0;
  for (int epoch = 0; epoch < 3; epoch++) expected = naive_epoch(model, ratings, batches);
  const auto expect_near = [](const std::vector<float>& found, const std::vector<double>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t at = 0; at < found.size(); at++) ASSERT_NEAR(found[at], expected[at], 2e-5) << at;
  };
  expect_near(found[0], model.users.values);
  expect_near(found[1], model.items.values);
  expect_near(found[2], model.implicit.values);
  EXPECT_NEAR(found[3][0], expected, 1e-4 * expected);
}

INSTANTIATE_BACKENDS(SvdppTest, Shape{1, 1}, Shape{7, 4}, Shape{14, 29}, Shape{62, 100}, Shape{126, 7}, Shape{300, 5});

TEST(Svdpp, BitsDoNotDependOnTheNumberOfThreads) {
  const auto ratings = made_ratings();
  const auto batches = random_batches(ratings, 11, 7);
  const Model model(20);
  auto one = Context::cpu(1);
  const auto expected = trained(one, model, ratings, batches, 4);
  for (const int threads : {2, 5, 16}) {
    auto context = Context::cpu(threads);
    EXPECT_TRUE(trained(context, model, ratings, batches, 4) == expected) << threads;
  }
}

TEST(Svdpp, RefusesShapesThatDoNotFit) {
  auto context = Context::cpu(1);
  const auto ratings = made_ratings();
  const auto batches = random_batches(ratings, 11, 7);
  const auto refused = [&](const std::string& what, auto change) {
    float row[32] = {};
    double error = 0;
    SvdppTask task = {.ratings = {1, ratings.offsets.data(), ratings.items.data(), ratings.values.data()},
                      .batches = batches.view(),
                      .users = {{row, 1, 32}, row, nullptr},
                      .items = {{row, 1, 32}, row, nullptr},
                      .implicit = {row, 1, 32},
                      .params = params,
                      .squared_error = &error};
    change(task);
    EXPECT_THAT([&] { svdpp_epoch(context, task); }, ThrowsMessage<std::invalid_argument>(HasSubstr(what)));
  };
  refused("svdpp_epoch: users have 32 columns, items 16, implicit 32",
          [](SvdppTask& task) { task.items.rows.columns = 16; });
  refused("40 columns, expected a multiple of 16",
          [](SvdppTask& task) { task.users.rows.columns = task.items.rows.columns = task.implicit.columns = 40; });
  refused("items have 1 rows, implicit 2", [](SvdppTask& task) { task.implicit.rows = 2; });
  refused("ratings have 2 rows, users 1", [](SvdppTask& task) { task.ratings.rows = 2; });
  refused("0 users per batch", [](SvdppTask& task) { task.batches.batch_users = 0; });
  refused("learning_rate is 0", [](SvdppTask& task) { task.params.learning_rate = 0; });
}

}  // namespace
}  // namespace sartor::cuda
