// Matrix factorization of implicit feedback by alternating least squares: the objective of Hu, Koren and Volinsky 2008
// or iALS (Rendle et al. 2022). With several ranks, each solves a share of the users and of the items, as in als.h, and
// computes a share of the rows of the Gram matrices. The result does not depend on the number of ranks.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/device_buffer.h"
#include "models/factorization/als/ials_model.h"
#include "models/factorization/device_memory.h"
#include "models/factorization/factorizer.h"
#include "models/factorization/row_shares.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct IalsConfig {
  int64_t factors = 64;
  cuda::ImplicitObjective objective = cuda::ImplicitObjective::ials;
  float alpha = 1;
  std::optional<float> unobserved_weight;
  float regularization = 0.01f;
  std::optional<float> regularization_power;
  EventWeight weights = EventWeight::counts;
  float epsilon = 1;
  std::optional<float> threshold;
  cuda::ImplicitSolver solver = cuda::ImplicitSolver::cg;
  int64_t cg_steps = 3;
  int64_t block = 64;
  float init_scale = 0.1f;
  int64_t seed = 42;
  int64_t epochs = 15;
  std::optional<std::string> start_from;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 65536), "Latent dimensions of users and items.");
    field(
        "objective", objective,
        "Loss. A pair of user and item without a rating has target 0. hu_koren (Hu, Koren and Volinsky 2008): a rated "
        "pair has target 1 and weight 1 + alpha v. ials (Rendle et al. 2022): all pairs have target 0 and weight "
        "unobserved_weight; a rated pair has another term with target 1 and weight alpha v.");
    field("alpha", alpha, above(0), "Multiplies the weights of rated pairs.");
    field("unobserved_weight", unobserved_weight, at_least(0),
          "Weight of all pairs. Defaults to 0.1 for ials and 1 for hu_koren.");
    field("regularization", regularization, at_least(0), "Weight of the squared factors in the loss.");
    field("regularization_power", regularization_power, between(0, 1),
          "Multiplies the regularization of a user with n ratings by (n + unobserved_weight items)^power, and likewise "
          "that of an item. Defaults to 1 for ials and 0 for hu_koren.");
    field("weights", weights,
          "Weight v of a rating: the rating itself (counts), 1 (binary), or log(1 + rating / epsilon) (log).");
    field("epsilon", epsilon, above(0), "Divides ratings if weights is log.");
    field("threshold", threshold, Range{}, "Ratings below it do not count. Defaults to all ratings.");
    field(
        "solver", solver,
        "How a row of factors is solved for the other side: steps of conjugate gradients from its previous value (cg), "
        "exactly (cholesky), or blocks of factors one after the other (block; iALS++, Rendle et al. 2021), which suits "
        "thousands of factors.");
    field("cg_steps", cg_steps, at_least(1), "Steps per row if solver is cg.");
    field("block", block, at_least(1), "Factors per block if solver is block.");
    field("init_scale", init_scale, above(0),
          "Standard deviation of the initial item factors, times the square root of the number of factors.");
    field("seed", seed, at_least(0), "Seed of the initial item factors.");
    field("epochs", epochs, at_least(1), "Passes over users and items.");
    field("start_from", start_from, file_path(),
          "Run folder or factors.h5 of an earlier ials model with as many factors. Training starts from its factors of "
          "the users and items that it has in common with the data.");
  }
  std::vector<std::filesystem::path> reads() const {
    return start_from ? std::vector<std::filesystem::path>{*start_from} : std::vector<std::filesystem::path>{};
  }

  cuda::ImplicitParams params() const;
  EventWeights event_weights() const { return {weights, epsilon, threshold}; }
};

class Ials : public Factorizer {
 public:
  static constexpr std::string_view name = "ials";
  using Config = IalsConfig;
  using Model = IalsModel;

  // Copies the training ratings that count, by user and by item. ranks: the processes that train together; null: only
  // this process. Throws std::invalid_argument if there are none, if a rating is negative (unless weights is binary),
  // or if start_from does not fit. max_device_memory: see Als.
  Ials(const IalsConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks = nullptr,
       std::optional<int64_t> max_device_memory = {});

  int64_t epochs() const override { return config_.epochs; }
  void train_epoch() override;  // users for fixed items, then items for fixed users (implicit_update)
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<IalsModel>(factors()); }
  IalsModel factors() const;  // the same model

  // FOLDER/state.h5: factors.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  static void visit_state(auto& self, const auto& visit) {
    visit("users/factors", self.users_.factors);
    visit("items/factors", self.items_.factors);
  }

  SharePieces pieces(const datasets::StoredRatings& ratings) const;
  RatingMemory plan(const datasets::Prepared& data, std::optional<int64_t> limit);
  FactorSide make_side(const datasets::Prepared& data, bool by_user, int64_t memory);
  void start_from(const std::filesystem::path& path, const datasets::Prepared& data);
  void update(const FactorSide& fixed, FactorSide& solved);

  IalsConfig config_;
  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  const datasets::StoredRatings& by_item_;
  double rating_min_, rating_max_;
  RatingMemory memory_;
  FactorSide users_, items_;
  std::vector<int64_t> gram_bounds_;  // rows of the Gram matrix that each rank computes
  cuda::DeviceBuffer<float> gram_;
};

}  // namespace sartor
