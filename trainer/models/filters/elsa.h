// ELSA: a linear model of items by items of low rank (Vancura et al. 2022), for catalogues that are too large for EASE.
#pragma once

#include <vector>

#include "models/factorization/factor_model.h"
#include "models/factorization/factorizer.h"
#include "models/filters/interaction_graph.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct ElsaConfig {
  int64_t factors = 256;
  int64_t epochs = 5;
  int64_t batch_size = 128;
  double learning_rate = 0.03;
  int64_t seed = 42;

  template <class Fields> void describe(Fields& field) {
    field("factors", factors, between(1, 65536), "Columns of A, the rank of the model.");
    field("epochs", epochs, at_least(1), "Passes over the users.");
    field("batch_size", batch_size, between(1, 65536), "Users per step. Memory: batch_size times the number of items.");
    field("learning_rate", learning_rate, above(0), "Step size of Adam.");
    field("seed", seed, at_least(0), "Seed of the initial A and of the order of the users.");
  }
};

// A user's factors are the sum of A over the items of the history.
struct ElsaModel : FactorModel {
  ElsaModel() { algorithm = "elsa"; }
  std::vector<double> predict(int64_t, const UserRatings&) const override { return {}; }
  std::vector<float> fold_in(cuda::Context& context, const UserRatings& ratings) const override;
  std::string cannot_fold_in() const override { return ""; }
};

// Minimizes over A (I, f), whose rows have length 1, the sum over users of
//
//   | x / |x| - s / |s| |^2,   s = max(0, x A A^T - x)
//
// by Adam on matrices W with A_i = W_i / |W_i|. Each rank trains the whole model. The result does not depend on the
// number of threads.
class Elsa : public Factorizer {
 public:
  static constexpr std::string_view name = "elsa";
  using Config = ElsaConfig;
  using Model = ElsaModel;

  // Throws std::invalid_argument if there are no ratings.
  Elsa(const ElsaConfig& config, const datasets::Prepared& data, cuda::Context& context);

  int64_t epochs() const override { return config_.epochs; }
  void train_epoch() override;
  std::unique_ptr<TrainedModel> model() const override;

  // FOLDER/state.h5: W, the moments of Adam and the number of epochs.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  void normalize_rows();
  void add_gradient(const SparseMatrix& histories);
  void update();

  ElsaConfig config_;
  cuda::Context& context_;
  double rating_min_, rating_max_;
  SparseMatrix histories_;  // (U, I)
  std::vector<int64_t> item_count_;
  int64_t items_, epoch_ = 0, steps_ = 0;
  std::vector<float> weights_, first_, second_;  // (I, f) W and the moments of its gradient
  std::vector<float> rows_, gradient_;           // (I, f) A and the gradient of the loss for A
};

}  // namespace sartor
