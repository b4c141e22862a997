// Non-negative matrix factorization (Lee and Seung 1999) of the ratings, or of all pairs of users and items. With
// several ranks, each solves a share of the users and of the items, as in als.h. The result does not depend on the
// number of ranks.
#pragma once

#include <optional>
#include <vector>

#include "core/device_buffer.h"
#include "models/factorization/decomposition/nmf_model.h"
#include "models/factorization/factorizer.h"
#include "models/factorization/row_shares.h"
#include "runtime/collective.h"
#include "storage/prepared.h"

namespace sartor {

enum class NmfMissing { ignored, zero };
constexpr auto choices(NmfMissing) {
  return std::to_array<Choice<NmfMissing>>({{"ignored", NmfMissing::ignored}, {"zero", NmfMissing::zero}});
}

struct NmfConfig {
  int64_t factors = 16;
  NmfMissing missing = NmfMissing::ignored;
  cuda::NonnegativeSolver solver = cuda::NonnegativeSolver::projected;
  int64_t steps = 1;
  bool biases = false;
  float regularization = cuda::NonnegativeParams().regularization;
  std::optional<float> bias_regularization;
  float regularization_power = cuda::NonnegativeParams().regularization_power;
  std::optional<float> init_scale;
  int64_t seed = 42;
  int64_t epochs = 50;
  double popularity_weight = 0;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 4096), "Latent dimensions of users and items, none of which is negative.");
    field("missing", missing,
          "Pairs of user and item without a rating: they do not count (ignored), or have the target 0 (zero), as in "
          "the factorization of a matrix.");
    field("solver", solver,
          "How a row of factors is improved for the other side: one factor after the other (projected), or all of them "
          "multiplied at once (multiplicative; Lee and Seung 2001), which needs more epochs. Neither raises the loss.");
    field("steps", steps, at_least(1), "Steps of the solver per row and epoch.");
    field("biases", biases, "Fit the global mean and user and item biases, which may be negative, in addition.");
    field("regularization", regularization, at_least(0), "Weight of the squared factors in the loss.");
    field("bias_regularization", bias_regularization, at_least(0),
          "Weight of the squared biases in the loss. Defaults to regularization.");
    field("regularization_power", regularization_power, between(0, 1),
          "Multiplies the regularization of a user or item with n ratings by n^power.");
    field("init_scale", init_scale, above(0),
          "Standard deviation of the normal numbers whose absolute values the factors are initially. Defaults to 0.1 "
          "with biases, and to the root of the mean target divided by factors without.");
    field("seed", seed, at_least(0), "Seed of the initial factors.");
    field("epochs", epochs, at_least(1), "Passes over users and items.");
    field("popularity_weight", popularity_weight, at_least(0),
          "Recommendations are ranked by <user, item> + popularity_weight log(1 + n) for an item with n ratings, or by "
          "predicted rating if popularity_weight is 0.");
  }
  void check() const {
    require(!biases || missing == NmfMissing::ignored, "biases requires missing: ignored, found {}", name_of(missing));
    require(!biases || solver == cuda::NonnegativeSolver::projected, "biases requires solver: projected, found {}",
            name_of(solver));
  }
  cuda::NonnegativeParams params() const {
    return {solver, regularization, bias_regularization.value_or(regularization), regularization_power, steps};
  }
};

class Nmf : public Factorizer {
 public:
  static constexpr std::string_view name = "nmf";
  using Config = NmfConfig;
  using Model = NmfModel;

  // Reads the training ratings. ranks: the processes that train together; null: only this process. Throws
  // std::invalid_argument if there are no ratings, one is negative without biases, or the context is not on the CPU.
  Nmf(const NmfConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks = nullptr);

  int64_t epochs() const override { return config_.epochs; }
  void train_epoch() override;  // users for fixed items, then items for fixed users (nonnegative_update)
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<NmfModel>(factors()); }
  NmfModel factors() const;  // the same model

  // FOLDER/state.h5: factors and biases.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  static void visit_state(auto& self, const auto& visit) {
    visit("users/factors", self.users_.factors);
    visit("items/factors", self.items_.factors);
  }

  FactorSide make_side(const datasets::Prepared& data, const datasets::StoredRatings& ratings);
  void initialize(FactorSide& side, double target, int64_t seed) const;
  void update(const FactorSide& fixed, FactorSide& solved);
  int64_t columns() const { return config_.factors + config_.biases; }

  NmfConfig config_;
  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  std::vector<int64_t> item_counts_;
  double mean_, rating_min_, rating_max_;
  FactorSide users_, items_;  // factors, and the bias if there are any
  cuda::DeviceBuffer<float> gram_;
};

}  // namespace sartor
