// Matrix factorization of explicit ratings by alternating least squares (ALS). Ratings and factors are on the context's
// device. With several ranks, each solves a share of the users and of the items, for which alone it keeps the ratings;
// the factors of one piece of the shares are all-gathered while the next one is solved (row_shares.h). Every rank reads
// all ratings by user once, for their mean. The result does not depend on the number of ranks.
#pragma once

#include <optional>
#include <vector>

#include "core/device_buffer.h"
#include "models/factorization/als/als_model.h"
#include "models/factorization/device_memory.h"
#include "models/factorization/factorizer.h"
#include "models/factorization/row_shares.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct AlsConfig {
  int64_t factors = 64;
  float regularization = cuda::AlsParams().regularization;
  std::optional<float> bias_regularization;
  float regularization_power = cuda::AlsParams().regularization_power;
  bool biases = true;
  float init_scale = 0.1f;
  int64_t seed = 42;
  int64_t epochs = 15;
  double popularity_weight = 0;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 65536), "Latent dimensions of users and items.");
    field("regularization", regularization, at_least(0), "Weight of the squared factors in the loss.");
    field("bias_regularization", bias_regularization, at_least(0),
          "Weight of the squared biases in the loss. Defaults to regularization.");
    field("regularization_power", regularization_power, between(0, 1),
          "Multiplies the regularization of a user or item with n ratings by n^power: 0 for plain, 1 for "
          "weighted-lambda regularization (Zhou et al. 2008).");
    field("biases", biases, "Fit user and item biases in addition to the global mean.");
    field("init_scale", init_scale, above(0), "Standard deviation of the initial item factors.");
    field("seed", seed, at_least(0), "Seed of the initial item factors.");
    field("epochs", epochs, at_least(1), "Passes over users and items.");
    field("popularity_weight", popularity_weight, at_least(0),
          "Recommendations are ranked by <user, item> + popularity_weight log(1 + n) for an item with n ratings, or by "
          "predicted rating if popularity_weight is 0.");
  }

  cuda::AlsParams params() const {
    return {regularization, bias_regularization.value_or(regularization), regularization_power};
  }
};

class Als : public Factorizer {
 public:
  static constexpr std::string_view name = "als";
  using Config = AlsConfig;
  using Model = AlsModel;

  // Copies the training ratings to the context's device, by user and by item. ranks: the processes that train together;
  // null: only this process. max_device_memory: see plan_memory(); ratings beyond it arrive in blocks
  // (rating_blocks.h), with the same result. Throws std::invalid_argument if there are no ratings.
  Als(const AlsConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks = nullptr,
      std::optional<int64_t> max_device_memory = {});

  int64_t epochs() const override { return config_.epochs; }
  void train_epoch() override;  // users for fixed items, then items for fixed users (als_update)
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<AlsModel>(factors()); }
  AlsModel factors() const;  // the same model

  // FOLDER/state.h5: factors and biases.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  static void visit_state(auto& self, const auto& visit) {
    visit("users/factors", self.users_.factors);
    visit("users/bias", self.users_.bias);
    visit("items/factors", self.items_.factors);
    visit("items/bias", self.items_.bias);
  }

  struct Side : FactorSide {
    cuda::DeviceBuffer<float> bias;  // (rows)
  };
  SharePieces pieces(const datasets::StoredRatings& ratings) const;
  RatingMemory plan(const datasets::Prepared& data, std::optional<int64_t> limit);
  Side make_side(const datasets::StoredRatings& ratings, int64_t memory);
  void update(const Side& fixed, Side& solved);

  AlsConfig config_;
  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  const datasets::StoredRatings& by_item_;
  double mean_, rating_min_, rating_max_;
  RatingMemory memory_;
  Side users_, items_;
};

}  // namespace sartor
