// Bayesian personalized ranking (Rendle et al. 2009). On CPUs, several ranks share the users (shares/grid_shares.h), if
// there are as many blocks; otherwise each trains the whole model. The result does not depend on the number of ranks.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "core/device_buffer.h"
#include "factorization/ranking/bpr.h"
#include "factorization/ranking/pair_grid.h"
#include "models/factorization/factor_model.h"
#include "models/factorization/factorizer.h"
#include "models/factorization/ranking/interactions.h"
#include "models/factorization/shares/grid_shares.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct BprConfig {
  int64_t factors = 64;
  float learning_rate = 0.1f;
  RateSchedule schedule = RateSchedule::linear;
  float regularization = 0.01f;
  int64_t candidates = 16;
  std::optional<float> threshold;
  int64_t blocks = 16;
  float init_scale = 0.1f;
  int64_t seed = 42;
  int64_t epochs = 40;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 65536), "Latent dimensions of users and items.");
    field("learning_rate", learning_rate, above(0), "Step size of stochastic gradient descent.");
    field(
        "schedule", schedule,
        "Learning rate in the course of the training: constant, or falling to 0 by equal amounts per epoch (linear).");
    field("regularization", regularization, at_least(0),
          "Weight of half the squared factors and biases in the loss of a pair.");
    field("candidates", candidates, between(1, cuda::most_bpr_candidates),
          "Items that are drawn for each pair among those that the user has not chosen. The one with the highest score "
          "is the negative (dynamic negative sampling, Zhang et al. 2013). 1: uniform negatives.");
    field("threshold", threshold, Range{}, "Ratings below it do not count. Defaults to all ratings.");
    field(
        "blocks", blocks, between(1, 1024),
        "Users and items are divided into as many blocks, which can be trained on as many threads. The result depends "
        "on it, but not on the number of threads and processes. Negatives are drawn from the block of the chosen item; "
        "blocks of "
        "items are drawn anew in each epoch.");
    field("init_scale", init_scale, above(0),
          "Standard deviation of the initial factors, times the square root of their number.");
    field("seed", seed, at_least(0), "Seed of the initial factors, the order of pairs and the negatives.");
    field("epochs", epochs, at_least(1), "Passes over the chosen pairs.");
  }
};

// rating(u, i) = item_bias_i + <user_u, item_i> is a score, not a rating.
struct BprModel : FactorModel {
  BprModel() { algorithm = "bpr"; }
  std::vector<double> predict(int64_t, const UserRatings&) const override { return {}; }
};

class Bpr : public Factorizer {
 public:
  static constexpr std::string_view name = "bpr";
  using Config = BprConfig;
  using Model = BprModel;

  // Throws std::invalid_argument if there are no ratings that count. ranks: the processes that train together; null:
  // only this process.
  Bpr(const BprConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks = nullptr);

  int64_t epochs() const override { return config_.epochs; }
  void train_epoch() override;
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<BprModel>(factors()); }
  BprModel factors() const;  // the same model

  // FOLDER/state.h5: factors, biases, and the number of epochs.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  static void visit_state(auto& self, const auto& visit) {
    visit("epoch", self.epoch_);
    visit("users/factors", self.users_);
    visit("items/factors", self.items_);
    visit("items/bias", self.item_bias_);
  }

  void train_shared(GridShares& shares, cuda::PairGrid& grid, cuda::BprTask task);

  BprConfig config_;
  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  double rating_min_, rating_max_;
  Interactions chosen_;
  std::vector<int64_t> item_count_;
  cuda::DeviceBuffer<int64_t> offsets_;  // chosen_
  cuda::DeviceBuffer<int32_t> columns_;
  cuda::DeviceBuffer<float> users_, items_, item_bias_;  // (U, f), (I, f), (I)
  int64_t epoch_ = 0;
};

}  // namespace sartor
