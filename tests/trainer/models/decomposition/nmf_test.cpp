// Non-negative matrix factorization as an algorithm.
#include "models/factorization/decomposition/nmf.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "core/cpu_backend.h"
#include "factorization/implicit/implicit.h"
#include "interactions/write_prepared.h"
#include "models/factorization/algorithms.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "support/paths.h"
#include "support/thread_ranks.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

using ::testing::Each;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr int64_t users = 61, items = 37;
constexpr auto projected = cuda::NonnegativeSolver::projected, multiplicative = cuda::NonnegativeSolver::multiplicative;

std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 40 < uint64_t(cell % items)) return {};
  return static_cast<float>(1 + random_bits(2, cell) % 5);
}

// Loss of the training ratings, and of all other pairs as zeros.
double loss(const NmfModel& model, const datasets::Prepared& data, const NmfConfig& config) {
  const auto ratings = read_users(data.train, 0, data.users);
  std::vector<std::vector<double>> target(data.users, std::vector<double>(data.items, NAN));
  double loss = 0;
  for (int64_t user = 0; user < data.users; user++) {
    for (int64_t at = ratings.offsets[user]; at < ratings.offsets[user + 1]; at++) {
      target[user][ratings.items[at]] = ratings.values[at];
    }
    for (int64_t item = 0; item < data.items; item++) {
      double value = target[user][item];
      if (std::isnan(value) && config.missing == NmfMissing::ignored) continue;
      if (std::isnan(value)) value = 0;
      double rating = model.mean + model.user_bias[user] + model.item_bias[item];
      for (int64_t f = 0; f < model.factors; f++) {
        rating += double(model.user_rows().row(user)[f]) * model.item_rows().row(item)[f];
      }
      loss += (value - rating) * (value - rating);
    }
  }
  const auto penalty = [&](const auto& factors, const auto& bias, const std::vector<int64_t>& offsets) {
    for (int64_t row = 0; row < std::ssize(bias); row++) {
      const double weight = std::pow(offsets[row + 1] - offsets[row], config.regularization_power);
      double squares = 0;
      for (int64_t f = 0; f < model.factors; f++) squares += std::pow(factors.row(row)[f], 2);
      loss += weight * (config.regularization * squares + config.params().bias_regularization * std::pow(bias[row], 2));
    }
  };
  penalty(model.user_rows(), model.user_bias, data.train.offsets());
  penalty(model.item_rows(), model.item_bias, data.train_by_item.offsets());
  return loss;
}

class NmfTest : public testing::FolderTest {
 protected:
  std::string prepare(const std::string& name, int64_t rows, int64_t columns,
                      const std::function<std::optional<float>(int64_t)>& rating, double test) const {
    testing::MadeRatings source(rows, columns, rating);
    datasets::write_prepared(path(name), datasets::collect(source, {}, folder_), {.test = test, .seed = 3},
                             {"{}", "hash"});
    return path(name);
  }
  std::string prepared() const { return prepare("prepared.h5", users, items, rating_of, 0.2); }

  static NmfModel train(const std::string& path, const NmfConfig& config) {
    Alone alone;
    return train(path, config, alone, cuda::Context::cpu(2));
  }
  static NmfModel train(const std::string& path, const NmfConfig& config, Collective& ranks, cuda::Context context) {
    const auto data = datasets::open_prepared(path);
    Nmf nmf(config, data, context, &ranks);
    for (int64_t epoch = 0; epoch < config.epochs; epoch++) nmf.train_epoch();
    return nmf.factors();
  }

  std::vector<NmfConfig> configs() const {
    return {{.factors = 5, .epochs = 4},
            {.factors = 20, .biases = true, .epochs = 4},
            {.factors = 3, .missing = NmfMissing::zero, .epochs = 4},
            {.factors = 4, .solver = multiplicative, .steps = 2, .epochs = 4},
            {.factors = 4, .missing = NmfMissing::zero, .solver = multiplicative, .epochs = 4}};
  }
};

TEST_F(NmfTest, LossNeverRisesAndFactorsAreNotNegative) {
  const auto path = prepared();
  const auto data = datasets::open_prepared(path);
  auto context = cuda::Context::cpu(2);
  for (const auto& config : configs()) {
    Nmf nmf(config, data, context);
    double before = loss(nmf.factors(), data, config);
    for (int epoch = 0; epoch < 12; epoch++) {
      nmf.train_epoch();
      const auto model = nmf.factors();
      const double now = loss(model, data, config);
      EXPECT_LT(now, before);
      EXPECT_THAT(model.user_factors, Each(Ge(0)));
      EXPECT_THAT(model.item_factors, Each(Ge(0)));
      before = now;
    }
  }
}

// The matrix of four users and items has the best approximation of rank 2, with residual sqrt(20), whose factors can be
// chosen non-negative.
TEST_F(NmfTest, FindsTheBestApproximationOfAMatrix) {
  constexpr std::array<float, 16> matrix = {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5};
  const auto path = prepare(
      "matrix.h5", 4, 4, [&](int64_t cell) { return std::optional(matrix[cell]); }, 0);
  const auto sparse = prepare(
      "sparse.h5", 4, 4, [&](int64_t cell) { return matrix[cell] ? std::optional(matrix[cell]) : std::nullopt; }, 0);
  for (const auto solver : {projected, multiplicative}) {
    for (const auto& [file, missing] : {std::pair(path, NmfMissing::ignored), {sparse, NmfMissing::zero}}) {
      NmfConfig config = {.factors = 2,
                          .missing = missing,
                          .solver = solver,
                          .regularization = 0,
                          .epochs = solver == projected ? 200 : 2000};
      EXPECT_NEAR(std::sqrt(loss(train(file, config), datasets::open_prepared(file), config)), 4.472136, 1e-5);
    }
  }
}

TEST_F(NmfTest, FactorsAreThoseOfOneProcess) {
  const auto data = prepared();
  for (const auto& config : configs()) {
    const auto one = train(data, config);
    for (const int size : {2, 4, 70}) {
      for (const auto& model : testing::on_threads(
               size, [&](Collective& ranks) { return train(data, config, ranks, cuda::Context::cpu(1)); })) {
        EXPECT_TRUE(model.user_factors == one.user_factors && model.item_factors == one.item_factors) << size;
        EXPECT_TRUE(model.user_bias == one.user_bias && model.item_bias == one.item_bias) << size;
      }
    }
  }
}

TEST_F(NmfTest, OneThatResumesContinuesWithTheSameBits) {
  auto context = cuda::Context::cpu(2);
  const auto data = datasets::open_prepared(prepared());
  for (const auto& config : configs()) {
    Nmf whole(config, data, context), other(config, data, context);
    for (int epoch = 0; epoch < 2; epoch++) whole.train_epoch();
    whole.save(folder_);
    other.load(folder_);
    for (Nmf* each : {&whole, &other}) {
      for (int epoch = 0; epoch < 2; epoch++) each->train_epoch();
    }
    EXPECT_TRUE(other.factors().user_factors == whole.factors().user_factors);
    EXPECT_TRUE(other.factors().item_bias == whole.factors().item_bias);
  }
}

TEST_F(NmfTest, FoldInOfATrainingUserGivesItsFactors) {
  const auto path = prepared();
  const auto data = datasets::open_prepared(path);
  auto context = cuda::Context::cpu(2);
  for (NmfConfig config : configs()) {
    config.solver = projected;
    config.steps = 20;
    config.epochs = 300;
    config.regularization = 3;
    const auto model = train(path, config);
    const auto folded = model.fold_in(context, read_users(data.train, 0, data.users));
    ASSERT_EQ(folded.size(), model.user_factors.size());
    for (size_t at = 0; at < folded.size(); at++) ASSERT_NEAR(folded[at], model.user_factors[at], 2e-2) << at;
  }
}

TEST_F(NmfTest, FileKeepsWhatFoldingInNeeds) {
  const auto data_path = prepared();
  const auto data = datasets::open_prepared(data_path);
  for (const auto& config : configs()) {
    auto model = train(data_path, config);
    model.users = data.read_user_ids();
    model.items = data.read_item_ids();
    model.seen_offsets.assign(data.users + 1, 0);
    model.save(folder_);
    const auto back = FactorizationAlgorithms::load(path("factors.h5"));
    ASSERT_EQ(back->algorithm, "nmf");
    auto context = cuda::Context::cpu(1);
    const UserRatings ratings = {.offsets = {0, 3}, .items = {1, 4, 9}, .values = {1, 2, 4}};
    EXPECT_EQ(dynamic_cast<const NmfModel&>(*back).fold_in(context, ratings), model.fold_in(context, ratings));
    EXPECT_EQ(back->predict(0, ratings), model.predict(0, ratings));
  }
}

// A CPU that says it is a GPU.
struct Elsewhere : cuda::CpuBackend {
  Elsewhere() : CpuBackend(1, cuda::best_isa()) {}
  bool is_gpu() const override { return true; }
};

TEST_F(NmfTest, ErrorsNameWhatDoesNotFit) {
  const auto negative = prepare(
      "负.h5", users, items, [](int64_t cell) -> std::optional<float> { return cell == 7 ? -2 : 1; }, 0);
  EXPECT_THAT([&] { train(negative, {}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr(
                  "负.h5: the smallest rating is -2, expected 0 or more for non-negative factors without biases")));
  EXPECT_NO_THROW(train(negative, {.factors = 2, .biases = true, .epochs = 1}));
  const NmfConfig zeros = {.missing = NmfMissing::zero, .biases = true},
                  products = {.solver = multiplicative, .biases = true};
  EXPECT_THAT([&] { zeros.check(); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("biases requires missing: ignored, found zero")));
  EXPECT_THAT([&] { products.check(); }, ThrowsMessage<std::invalid_argument>(
                                             HasSubstr("biases requires solver: projected, found multiplicative")));
  const auto data = datasets::open_prepared(prepared());
  cuda::Context elsewhere(std::make_unique<Elsewhere>());
  EXPECT_THAT([&] { Nmf({}, data, elsewhere); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("runs on CPUs only, expected device: cpu")));
}

// scripts/golden/nmf.py
TEST(NmfGolden, EqualsScikitLearn) {
  const auto golden = nlohmann::json::parse(std::ifstream(testing::source_path("tests/golden/nmf.json")));
  const int64_t rows = golden["rows"], columns = golden["columns"], f = golden["factors"];
  const std::vector<float> values = golden["values"];
  const auto listed = [](const std::vector<float>& dense, int64_t height, int64_t width, bool transposed) {
    UserRatings list;
    for (int64_t row = 0; row < height; row++) {
      for (int64_t column = 0; column < width; column++) {
        const float value = transposed ? dense[column * height + row] : dense[row * width + column];
        if (value == 0) continue;
        list.items.push_back(static_cast<int32_t>(column));
        list.values.push_back(value);
      }
      list.offsets.push_back(std::ssize(list.items));
    }
    return list;
  };
  const auto by_row = listed(values, rows, columns, false), by_column = listed(values, columns, rows, true);
  auto context = cuda::Context::cpu(1);
  std::vector<float> gram(f * f);
  for (const auto& expected : golden["cases"]) {
    const cuda::NonnegativeParams params = {
        .solver = value_of<cuda::NonnegativeSolver>(expected["solver"].get<std::string>()),
        .regularization = expected["regularization"],
        .regularization_power = 0};
    std::vector<float> w = golden["start_rows"], h = golden["start_columns"];
    const auto update = [&](const UserRatings& entries, std::vector<float>& fixed, std::vector<float>& solved) {
      const cuda::Rows<const float> features = {fixed.data(), std::ssize(fixed) / f, f};
      cuda::gram(context, {features, 0, f, gram.data()});
      cuda::nonnegative_update(
          context, {.ratings = {entries.users(), entries.offsets.data(), entries.items.data(), entries.values.data()},
                    .fixed = features,
                    .gram = gram.data(),
                    .solved = {solved.data(), entries.users(), f},
                    .params = params});
    };
    for (int epoch = 0; epoch < golden["epochs"]; epoch++) {
      update(by_row, h, w);
      update(by_column, w, h);
    }
    const auto expect_near = [](const std::vector<float>& found, const std::vector<float>& theirs) {
      ASSERT_EQ(found.size(), theirs.size());
      for (size_t at = 0; at < theirs.size(); at++) ASSERT_NEAR(found[at], theirs[at], 1e-4 * (1 + theirs[at])) << at;
    };
    expect_near(w, expected["rows"]);
    expect_near(h, expected["columns"]);
  }
}

}  // namespace
}  // namespace sartor
