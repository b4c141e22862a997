// Matrix factorization of explicit ratings by stochastic gradient descent (SGD; Funk 2006, Koren et al. 2009). Ratings
// and factors are on the context's device. On CPUs, several ranks share the users (shares/grid_shares.h), if the grid
// has as many blocks; otherwise each trains the whole model. They are always deterministic, with the result of one
// rank.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "core/device_buffer.h"
#include "models/factorization/factorizer.h"
#include "models/factorization/gradient/gradient_config.h"
#include "models/factorization/gradient/gradient_rows.h"
#include "models/factorization/gradient/rating_grid.h"
#include "models/factorization/shares/grid_shares.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

enum class LearningRates { constant, adagrad };
constexpr auto choices(LearningRates) {
  return std::to_array<Choice<LearningRates>>(
      {{"constant", LearningRates::constant}, {"adagrad", LearningRates::adagrad}});
}

struct SgdConfig : GradientConfig {
  bool biased = true;
  LearningRates rates = LearningRates::constant;
  bool shuffle = true;
  bool deterministic = true;

  template <class Fields> void describe(Fields& field) {
    GradientConfig::describe(field);
    field("biased", biased,
          "Learn user and item biases in addition to the global mean. If false, there is no mean either: probabilistic "
          "matrix factorization (PMF; Salakhutdinov and Mnih 2007).");
    field("rates", rates,
          "Learning rates: those of the config (constant), or for each user and item divided by the root of 1 plus the "
          "sum of its mean squared gradients so far (adagrad; Chin et al. 2015).");
    field("shuffle", shuffle,
          "Visit ratings in random order, shuffled once. If false, in the order of the prepared file, on one thread.");
    field("deterministic", deterministic,
          "Make the result independent of the number of threads and of their timing. If false, threads wait for each "
          "other less. Several processes, and GPUs, are always deterministic.");
  }
};

// The loss is that of alternating least squares, so new users are solved in the same way.
struct SgdModel : AlsModel {
  SgdModel() { algorithm = "sgd"; }
};

class Sgd : public Factorizer {
 public:
  static constexpr std::string_view name = "sgd";
  using Config = SgdConfig;
  using Model = SgdModel;

  // ranks: the processes that train together; null: only this process. Throws std::invalid_argument if there are no
  // training ratings.
  Sgd(const SgdConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks = nullptr);

  int64_t epochs() const override { return config_.epochs; }
  void train_epoch() override;
  std::vector<Metric> training_metrics() const override { return gradient_metrics(squared_error_, ratings_.size()); }
  std::unique_ptr<TrainedModel> model() const override;

  // FOLDER/state.h5: factors, biases, sums of AdaGrad, and the number of epochs.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  void train_shared(cuda::SgdTask task);

  SgdConfig config_;
  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  GradientData data_;
  RatingGrid grid_;
  cuda::DeviceBuffer<cuda::SgdRating> ratings_;
  GradientRows users_, items_;
  std::optional<GridShares> shares_;
  Blocks user_blocks_, item_blocks_;  // if there are shares
  int64_t epoch_ = 0;                 // completed ones
  double squared_error_ = 0;
};

}  // namespace sartor
