// Models that score by a sparse matrix of weights between items: RP3beta (Paudel et al. 2017) and Turbo-CF (Park et al.
// 2024).
#pragma once

#include <vector>

#include "models/factorization/factorizer.h"
#include "models/filters/history_model.h"
#include "models/filters/interaction_graph.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

// W_ij = (sum over users u of i and j of n_i^-row_power n_u^-user_power n_j^-column_power)^exponent, where n counts the
// interactions of an item or user.
struct ItemWeights {
  double row_power = 0, user_power = 0, column_power = 0, exponent = 1;
  bool diagonal = true;   // false: W_ii = 0
  int64_t neighbors = 0;  // weights of each row that are kept, the largest ones; 0: all
};

// Computes the rows of W in blocks, with the same bits on every device; the columns of a row ascend. offsets, items:
// histories, as in TrainedModel. Each of several ranks computes a share of the rows.
SparseMatrix item_weights(cuda::Context& context, Collective& ranks, std::span<const int64_t> offsets,
                          std::span<const int32_t> items, int64_t item_number, const ItemWeights& weights);

// scores of history r = sum over powers k = 1, 2, ... of coefficients[k - 1] r W^k. Every device gives the same bits.
struct ItemGraphModel : HistoryModel {
  SparseMatrix weights;             // (I, I) W
  std::vector<float> coefficients;  // 1 to 3

  std::unique_ptr<ItemScores> item_scores(cuda::Context& context) const override;

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

// Trains such models in one epoch. The result does not depend on the number of ranks.
class ItemGraphFactorizer : public Factorizer {
 public:
  int64_t epochs() const override { return 1; }
  void train_epoch() override;
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<ItemGraphModel>(model_); }

  // FOLDER/state.h5: the weights.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 protected:
  // Throws std::invalid_argument if there are no ratings.
  ItemGraphFactorizer(std::string_view name, const ItemWeights& weights, std::vector<float> coefficients,
                      const datasets::Prepared& data, cuda::Context& context, Collective* ranks);

 private:
  ItemWeights weights_;
  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  ItemGraphModel model_;
};

struct Rp3betaConfig {
  double alpha = 1, beta = 0.6;
  int64_t neighbors = 100;

  template <class Fields> void describe(Fields& field) {
    field("alpha", alpha, between(0, 4), "Exponent of the probabilities of a step from an item to a user and back.");
    field("beta", beta, between(0, 4), "Weights to an item with n users are divided by n^beta.");
    field("neighbors", neighbors, between(0, 65536), "Weights that are kept for each item, the largest. 0: all.");
  }
  ItemWeights weights() const {
    return {.row_power = alpha, .user_power = alpha, .column_power = beta, .diagonal = false, .neighbors = neighbors};
  }
};

class Rp3beta : public ItemGraphFactorizer {
 public:
  static constexpr std::string_view name = "rp3beta";
  using Config = Rp3betaConfig;
  struct Model : ItemGraphModel {
    Model() { algorithm = name; }
  };

  Rp3beta(const Rp3betaConfig& config, const datasets::Prepared& data, cuda::Context& context,
          Collective* ranks = nullptr)
      : ItemGraphFactorizer(name, config.weights(), {1}, data, context, ranks) {}
};

enum class TurboFilter { linear, quadratic, cubic };
constexpr auto choices(TurboFilter) {
  return std::to_array<Choice<TurboFilter>>(
      {{"linear", TurboFilter::linear}, {"quadratic", TurboFilter::quadratic}, {"cubic", TurboFilter::cubic}});
}

struct TurbocfConfig {
  TurboFilter filter = TurboFilter::linear;
  double alpha = 0.5, exponent = 1;
  int64_t neighbors = 0;

  template <class Fields> void describe(Fields& field) {
    field("filter", filter,
          "Polynomial of the weights W of items. linear: W; quadratic: 2 W - W^2; cubic: 0.71 W + 0.1 W^2 - 0.01 W^3.");
    field("alpha", alpha, between(0, 1),
          "Interactions are divided by n^alpha for a user and by n^(1 - alpha) for an item with n interactions.");
    field("exponent", exponent, Range{.low = 0, .high = 4, .open = true}, "Power of each weight between two items.");
    field("neighbors", neighbors, between(0, 65536), "Weights that are kept for each item, the largest. 0: all.");
  }
  ItemWeights weights() const {
    return {.row_power = 1 - alpha,
            .user_power = 2 * alpha,
            .column_power = 1 - alpha,
            .exponent = exponent,
            .neighbors = neighbors};
  }
  std::vector<float> coefficients() const {
    if (filter == TurboFilter::linear) return {1};
    return filter == TurboFilter::quadratic ? std::vector<float>{2, -1} : std::vector<float>{0.71f, 0.1f, -0.01f};
  }
};

class Turbocf : public ItemGraphFactorizer {
 public:
  static constexpr std::string_view name = "turbocf";
  using Config = TurbocfConfig;
  struct Model : ItemGraphModel {
    Model() { algorithm = name; }
  };

  Turbocf(const TurbocfConfig& config, const datasets::Prepared& data, cuda::Context& context,
          Collective* ranks = nullptr)
      : ItemGraphFactorizer(name, config.weights(), config.coefficients(), data, context, ranks) {}
};

}  // namespace sartor
