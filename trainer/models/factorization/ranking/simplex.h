// Cosine contrastive loss (Mao et al. 2021, SimpleX). On CPUs, several ranks share the users of each batch; on GPUs,
// each trains the whole model. The result does not depend on the number of ranks.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "core/device_buffer.h"
#include "factorization/ranking/contrastive.h"
#include "models/factorization/factorizer.h"
#include "models/factorization/ranking/interactions.h"
#include "models/factorization/ranking/simplex_model.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct SimplexConfig {
  int64_t factors = 64;
  float learning_rate = 2;
  RateSchedule schedule = RateSchedule::linear;
  float margin = 0.8f;
  float negative_weight = 150;
  int64_t negatives = 2048;
  int64_t batch = 64;
  float history_weight = 0;
  std::optional<float> ranking_history_weight;
  std::optional<float> threshold;
  int64_t seed = 42;
  int64_t epochs = 60;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 65536), "Latent dimensions of users and items.");
    field("learning_rate", learning_rate, above(0),
          "Angle in radians by which the first gradient turns a vector; the n-th turns it by about 1 / sqrt(n) of that "
          "(AdaGrad).");
    field(
        "schedule", schedule,
        "Learning rate in the course of the training: constant, or falling to 0 by equal amounts per epoch (linear).");
    field("margin", margin, between(-1, 1), "Cosine above which a negative counts in the loss.");
    field("negative_weight", negative_weight, at_least(0),
          "Weight of the mean loss of the negatives, relative to the loss of a positive.");
    field("negatives", negatives, between(1, 1 << 20),
          "Items that are drawn for each batch. For a user, those that she has chosen do not count.");
    field("batch", batch, between(1, 1 << 20), "Users per step, each with all of her items.");
    field("history_weight", history_weight, between(0, 1),
          "Weight of the mean of the user's items in her vector; 1 - history_weight is that of a vector of her own.");
    field("ranking_history_weight", ranking_history_weight, between(0, 1),
          "history_weight of the vectors by which the trained model ranks. In training the mean contains the item that "
          "is to be found, so that more of the history helps after it than in it. Defaults to history_weight.");
    field("threshold", threshold, Range{}, "Ratings below it do not count. Defaults to all ratings.");
    field("seed", seed, at_least(0), "Seed of the initial vectors, the order of users and the negatives.");
    field("epochs", epochs, at_least(1), "Passes over the users.");
  }
};

class Simplex : public Factorizer {
 public:
  static constexpr std::string_view name = "simplex";
  using Config = SimplexConfig;
  using Model = SimplexModel;

  // Throws std::invalid_argument if there are no ratings that count. ranks: the processes that train together; null:
  // only this process.
  Simplex(const SimplexConfig& config, const datasets::Prepared& data, cuda::Context& context,
          Collective* ranks = nullptr);

  int64_t epochs() const override { return config_.epochs; }
  void train_epoch() override;
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<SimplexModel>(factors()); }
  SimplexModel factors() const;  // the same model

  // FOLDER/state.h5: vectors, squared gradients, and the number of epochs.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  static void visit_state(auto& self, const auto& visit) {
    visit("epoch", self.epoch_);
    visit("users/vectors", self.users_);
    visit("items/vectors", self.items_);
    visit("users/squares", self.user_squares_);
    visit("items/squares", self.item_squares_);
  }

  cuda::IdLists chosen() const { return {std::ssize(chosen_.offsets) - 1, offsets_.data(), columns_.data()}; }
  cuda::Rows<float> rows(const cuda::DeviceBuffer<float>& values) const {
    return {values.data(), values.size() / config_.factors, config_.factors};
  }

  SimplexConfig config_;
  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  double rating_min_, rating_max_;
  Interactions chosen_;
  std::vector<int64_t> item_count_;
  cuda::DeviceBuffer<int64_t> offsets_;  // chosen_
  cuda::DeviceBuffer<int32_t> columns_;
  cuda::DeviceBuffer<float> users_, items_;                // (U, f), (I, f)
  cuda::DeviceBuffer<float> user_squares_, item_squares_;  // (U), (I)
  int64_t epoch_ = 0;
};

}  // namespace sartor
