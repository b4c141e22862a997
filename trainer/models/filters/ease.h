// EASE: a linear model of items by items with a closed form (Steck 2019).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "models/factorization/factorizer.h"
#include "models/filters/history_model.h"
#include "models/filters/interaction_graph.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct EaseConfig {
  double regularization = 200;

  template <class Fields> void describe(Fields& field) {
    field("regularization", regularization, Range{.low = 0, .high = 1e12, .open = true},
          "Weight of the squared elements of B in the loss.");
  }
};

// scores of history r = r B, where B minimizes |X - X B|^2 + lambda |B|^2 with a diagonal of 0:
//
//   P = (X^T X + lambda)^-1,   B_ij = -P_ij / P_jj for i != j,   (r B)_j = r_j - (r P)_j / P_jj
//
// With fewer users than items, the smaller matrix is inverted (Woodbury), and B is not formed:
//
//   lambda P = 1 - X^T C X,   C = (X X^T + lambda)^-1
//
// For the history of user u, r X^T C is row u of 1 - lambda C.
struct EaseModel : HistoryModel {
  std::shared_ptr<std::vector<float>> inverse;  // (I, I) B, or (U, U) C
  std::vector<float> diagonal;                  // (I) of P, with C; otherwise empty
  double regularization = 0;                    // lambda

  EaseModel() { algorithm = "ease"; }
  bool by_users() const { return !diagonal.empty(); }
  std::unique_ptr<ItemScores> item_scores(cuda::Context& context) const override;

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

// Several ranks share the inversion. The result does not depend on their number.
class Ease : public Factorizer {
 public:
  static constexpr std::string_view name = "ease";
  using Config = EaseConfig;
  using Model = EaseModel;

  // ranks: the processes that train together; null: only this process. Throws std::invalid_argument if there are no
  // ratings.
  Ease(const EaseConfig& config, const datasets::Prepared& data, cuda::Context& context, Collective* ranks = nullptr);

  int64_t epochs() const override { return 1; }
  void train_epoch() override;
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<EaseModel>(model_); }

  // FOLDER/state.h5: the inverse and the diagonal.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  [[noreturn]] void refuse_regularization(std::string_view why) const;
  void scale_columns();
  void set_diagonal(const SparseMatrix& by_item);

  cuda::Context& context_;
  Alone alone_;
  Collective& ranks_;
  EaseModel model_;
};

}  // namespace sartor
