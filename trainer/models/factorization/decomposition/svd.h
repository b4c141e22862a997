// Truncated singular value decomposition of the matrix of ratings, by a randomized method. Computed in one epoch. With
// several ranks, each computes the whole model.
#pragma once

#include <vector>

#include "models/factorization/decomposition/svd_model.h"
#include "models/factorization/factorizer.h"
#include "storage/prepared.h"

namespace sartor {

enum class SvdNormalization { none, degrees };
constexpr auto choices(SvdNormalization) {
  return std::to_array<Choice<SvdNormalization>>(
      {{"none", SvdNormalization::none}, {"degrees", SvdNormalization::degrees}});
}

struct SvdConfig {
  int64_t factors = 64;
  SvdMissing missing = SvdMissing::zero;
  SvdNormalization normalization = SvdNormalization::none;
  double shrinkage = 5;
  int64_t oversampling = 16;
  int64_t iterations = 10;
  int64_t seed = 42;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 65536), "Singular values and vectors to keep.");
    field("missing", missing,
          "What stands for a missing rating: 0, the mean of the user or the item, or a baseline of the global mean and "
          "biases of both. It is subtracted from the ratings, so that the decomposed matrix is sparse, and added to "
          "the predictions.");
    field("normalization", normalization,
          "degrees divides the entry of a user with n and an item with m ratings by sqrt(n m), which favors rare items "
          "in the decomposition; for implicit feedback.");
    field("shrinkage", shrinkage, at_least(0),
          "Number of ratings at which a baseline bias is half the mean deviation. Only if missing is baseline.");
    field("oversampling", oversampling, between(0, 65536), "Vectors beyond factors, which improve the last of them.");
    field("iterations", iterations, at_least(1), "Products with the matrix and its transpose.");
    field("seed", seed, at_least(0), "Seed of the initial vectors.");
  }
};

class Svd : public Factorizer {
 public:
  static constexpr std::string_view name = "svd";
  using Config = SvdConfig;
  using Model = SvdModel;

  // Throws std::invalid_argument if there are no ratings, there are fewer items than factors, or the context is not on
  // the CPU.
  Svd(const SvdConfig& config, const datasets::Prepared& data, cuda::Context& context);

  int64_t epochs() const override { return 1; }
  void train_epoch() override;
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<SvdModel>(model_); }

  // FOLDER/state.h5: the singular values and vectors.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  void subtract_baseline(const datasets::Prepared& data);
  void weigh(const datasets::Prepared& data);

  SvdConfig config_;
  cuda::Context& context_;
  UserRatings ratings_;  // of all users
  SvdModel model_;
};

}  // namespace sartor
