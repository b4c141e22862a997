// Truncated singular value decomposition as an algorithm.
#include "models/factorization/decomposition/svd.h"

#include <gmock/gmock.h>

#include <Eigen/Dense>
#include <cmath>

#include "base/random.h"
#include "core/cpu_backend.h"
#include "interactions/write_prepared.h"
#include "models/factorization/algorithms.h"
#include "support/folder_test.h"
#include "support/made_ratings.h"
#include "tasks/factors/user_ratings.h"

namespace sartor {
namespace {

using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;
using ::testing::ThrowsMessage;

constexpr int64_t users = 61, items = 37;

std::optional<float> rating_of(int64_t cell) {
  if (random_bits(1, cell) % 40 < uint64_t(cell % items)) return {};
  return static_cast<float>(1 + random_bits(2, cell) % 5);
}

class SvdTest : public testing::FolderTest {
 protected:
  std::string prepare(const std::string& name, int64_t rows, int64_t columns,
                      const std::function<std::optional<float>(int64_t)>& rating) const {
    testing::MadeRatings source(rows, columns, rating);
    datasets::write_prepared(path(name), datasets::collect(source, {}, folder_), {.test = 0}, {"{}", "hash"});
    return path(name);
  }
  std::string prepared() const { return prepare("prepared.h5", users, items, rating_of); }

  static SvdModel train(const std::string& path, const SvdConfig& config, int threads = 2) {
    auto context = cuda::Context::cpu(threads);
    const auto data = datasets::open_prepared(path);
    Svd svd(config, data, context);
    svd.train_epoch();
    return dynamic_cast<const SvdModel&>(*svd.model());
  }
  static double product(const SvdModel& model, int64_t user, int64_t item) {
    double sum = 0;
    for (int64_t f = 0; f < model.factors; f++) {
      sum += double(model.user_rows().row(user)[f]) * model.item_rows().row(item)[f];
    }
    return sum;
  }
};

// Singular values 12, 6, 4, 2; the best approximation of rank 1 is 3 everywhere.
TEST_F(SvdTest, DecomposesAMatrix) {
  constexpr std::array<float, 16> matrix = {5, 4, 3, 0, 4, 5, 0, 3, 3, 0, 5, 4, 0, 3, 4, 5};
  const auto file = prepare("matrix.h5", 4, 4,
                            [&](int64_t cell) { return matrix[cell] ? std::optional(matrix[cell]) : std::nullopt; });
  const auto data = datasets::open_prepared(file);
  const auto all = train(file, {.factors = 4});
  EXPECT_THAT(all.singular_values, Pointwise(FloatNear(1e-4f), {12, 6, 4, 2}));
  const auto user_ids = data.read_user_ids(), item_ids = data.read_item_ids();
  const auto of = [&](const SvdModel& model, int64_t user, int64_t item) {
    return product(model, user_ids.find("用户" + std::to_string(user)), item_ids.find("i" + std::to_string(item)));
  };
  const auto first = train(file, {.factors = 1}), three = train(file, {.factors = 3});
  constexpr std::array<double, 4> row = {5.5, 3.5, 2.5, 0.5};
  for (int64_t user = 0; user < 4; user++) {
    for (int64_t item = 0; item < 4; item++) {
      EXPECT_NEAR(of(all, user, item), matrix[user * 4 + item], 1e-4);
      EXPECT_NEAR(of(first, user, item), 3, 1e-4);
    }
  }
  for (int64_t item = 0; item < 4; item++) EXPECT_NEAR(of(three, 0, item), row[item], 1e-4);
}

// The matrix that a config decomposes, in double precision.
Eigen::MatrixXd matrix_of(const datasets::Prepared& data, const SvdModel& model, bool degrees) {
  const auto ratings = read_users(data.train, 0, data.users);
  Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(data.users, data.items);
  for (int64_t user = 0; user < data.users; user++) {
    for (int64_t at = ratings.offsets[user]; at < ratings.offsets[user + 1]; at++) {
      const int32_t item = ratings.items[at];
      const double n = ratings.offsets[user + 1] - ratings.offsets[user], m = model.item_count[item];
      matrix(user, item) = (ratings.values[at] - model.mean - model.user_bias[user] - model.item_bias[item]) /
                           (degrees ? std::sqrt(n * m) : 1);
    }
  }
  return matrix;
}

TEST_F(SvdTest, EqualsEigen) {
  const auto path = prepared();
  const auto data = datasets::open_prepared(path);
  for (const auto missing : {SvdMissing::zero, SvdMissing::user_mean, SvdMissing::item_mean, SvdMissing::baseline}) {
    for (const auto normalization : {SvdNormalization::none, SvdNormalization::degrees}) {
      const bool degrees = normalization == SvdNormalization::degrees;
      const auto model =
          train(path, {.factors = 5, .missing = missing, .normalization = normalization, .iterations = 60});
      const Eigen::BDCSVD<Eigen::MatrixXd> svd(matrix_of(data, model, degrees),
                                               Eigen::ComputeThinU | Eigen::ComputeThinV);
      for (int64_t f = 0; f < 5; f++) {
        EXPECT_NEAR(model.singular_values[f], svd.singularValues()[f], 1e-4 * svd.singularValues()[0]);
      }
      const Eigen::MatrixXd best =
          svd.matrixU().leftCols(5) * svd.singularValues().head(5).asDiagonal() * svd.matrixV().leftCols(5).transpose();
      const auto& offsets = data.train.offsets();
      for (int64_t user = 0; user < users; user++) {
        for (int64_t item = 0; item < items; item++) {
          const double n = offsets[user + 1] - offsets[user], m = model.item_count[item];
          ASSERT_NEAR(product(model, user, item), best(user, item) * (degrees ? std::sqrt(n * m) : 1), 2e-3)
              << name_of(missing) << " " << degrees;
        }
      }
    }
  }
}

TEST_F(SvdTest, SubtractsWhatStandsForMissingRatings) {
  const auto path = prepared();
  const auto data = datasets::open_prepared(path);
  const auto ratings = read_users(data.train, 0, data.users);
  double sum = 0;
  for (const float value : ratings.values) sum += value;
  const double mean = sum / static_cast<double>(ratings.values.size());
  double of_user = 0;
  const int64_t count = ratings.offsets[1];
  for (int64_t at = 0; at < count; at++) of_user += ratings.values[at];
  EXPECT_EQ(train(path, {.factors = 2}).mean, 0);
  const auto by_user = train(path, {.factors = 2, .missing = SvdMissing::user_mean});
  EXPECT_NEAR(by_user.mean + by_user.user_bias[0], of_user / count, 1e-5);
  EXPECT_EQ(by_user.item_bias[3], 0);
  const auto both = train(path, {.factors = 2, .missing = SvdMissing::baseline, .shrinkage = 3});
  double rest = 0;
  for (int64_t at = 0; at < count; at++) rest += ratings.values[at] - mean - both.item_bias[ratings.items[at]];
  EXPECT_NEAR(both.user_bias[0], rest / (count + 3), 1e-5);
}

TEST_F(SvdTest, FileAndCheckpointKeepTheModelAndFoldInIsThatOfTraining) {
  const auto data_path = prepared();
  const auto data = datasets::open_prepared(data_path);
  auto context = cuda::Context::cpu(1);
  const SvdConfig config = {.factors = 3, .missing = SvdMissing::baseline, .normalization = SvdNormalization::degrees};
  auto model = train(data_path, config);
  EXPECT_EQ(train(data_path, config, 1).user_factors, model.user_factors);
  EXPECT_EQ(model.fold_in(context, read_users(data.train, 0, users)), model.user_factors);

  Svd svd(config, data, context), other(config, data, context);
  svd.train_epoch();
  svd.save(folder_);
  other.load(folder_);
  EXPECT_EQ(dynamic_cast<const SvdModel&>(*other.model()).user_factors, model.user_factors);

  model.users = data.read_user_ids();
  model.items = data.read_item_ids();
  model.seen_offsets.assign(data.users + 1, 0);
  model.save(folder_);
  const auto back = FactorizationAlgorithms::load(path("factors.h5"));
  ASSERT_EQ(back->algorithm, "svd");
  const UserRatings ratings = {.offsets = {0, 3}, .items = {1, 4, 9}, .values = {1, 2, 4}};
  EXPECT_EQ(dynamic_cast<const SvdModel&>(*back).fold_in(context, ratings), model.fold_in(context, ratings));
  EXPECT_EQ(back->predict(0, ratings), model.predict(0, ratings));
}

// A CPU that says it is a GPU.
struct Elsewhere : cuda::CpuBackend {
  Elsewhere() : CpuBackend(1, cuda::best_isa()) {}
  bool is_gpu() const override { return true; }
};

TEST_F(SvdTest, ErrorsNameWhatDoesNotFit) {
  const auto path = prepared();
  const auto data = datasets::open_prepared(path);
  EXPECT_THAT(
      [&] { train(path, {.factors = 38}); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("model.factors is 38, expected at most the 37 items of ")));
  cuda::Context elsewhere(std::make_unique<Elsewhere>());
  EXPECT_THAT([&] { Svd({.factors = 2}, data, elsewhere); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("svd runs on CPUs only, expected device: cpu")));
}

}  // namespace
}  // namespace sartor
