// EASE: a linear model of items by items with a closed form (Steck 2019).
#pragma once

#include <vector>

#include "models/factorization/factorizer.h"
#include "models/filters/history_model.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct EaseConfig {
  double regularization = 200;

  template <class Fields> void describe(Fields& field) {
    field("regularization", regularization, above(0), "Weight of the squared elements of B in the loss.");
  }
};

// scores of history r = r B, where B minimizes |X - X B|^2 + lambda |B|^2 with a diagonal of 0:
//
//   P = (X^T X + lambda)^-1,   B_ij = -P_ij / P_jj for i != j
struct EaseModel : HistoryModel {
  std::vector<float> weights;  // (I, I) B

  EaseModel() { algorithm = "ease"; }
  std::unique_ptr<ItemScores> item_scores(cuda::Context& context) const override;
  Vectors take_item_vectors() override { return {std::move(weights), item_number()}; }

 protected:
  void write_learned(datasets::Hdf5File& file) const override;
  void read_learned(const datasets::Hdf5File& file) override;
};

class Ease : public Factorizer {
 public:
  static constexpr std::string_view name = "ease";
  using Config = EaseConfig;
  using Model = EaseModel;

  // Throws std::invalid_argument if there are no ratings.
  Ease(const EaseConfig& config, const datasets::Prepared& data, cuda::Context& context);

  int64_t epochs() const override { return 1; }
  void train_epoch() override;
  std::unique_ptr<TrainedModel> model() const override { return std::make_unique<EaseModel>(model_); }

  // FOLDER/state.h5: B.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  EaseConfig config_;
  cuda::Context& context_;
  EaseModel model_;
};

}  // namespace sartor
