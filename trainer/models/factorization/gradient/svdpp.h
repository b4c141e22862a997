// SVD++ (Koren 2008): matrix factorization of explicit ratings that also learns from which items a user rated. Trained
// by stochastic gradient descent, on CPUs only. Each rank of a run trains the whole model.
#pragma once

#include <vector>

#include "models/factorization/factorizer.h"
#include "models/factorization/gradient/gradient_config.h"
#include "models/factorization/gradient/gradient_rows.h"
#include "models/factorization/gradient/svdpp_model.h"
#include "models/factorization/gradient/user_batches.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct SvdppConfig : GradientConfig {
  int64_t batch_users = 64;

  SvdppConfig() { learning_rate = 0.005f; }

  template <class Fields> void describe(Fields& field) {
    GradientConfig::describe(field);
    field(
        "batch_users", batch_users, between(1, 65536),
        "Users that are updated in parallel for fixed items, before their items are updated. With very large batches, "
        "training may diverge.");
  }
};

class Svdpp : public Factorizer {
 public:
  static constexpr std::string_view name = "svdpp";
  using Config = SvdppConfig;
  using Model = SvdppModel;

  // Throws std::invalid_argument if there are no training ratings, or if the context is not on the CPU.
  Svdpp(const SvdppConfig& config, const datasets::Prepared& data, cuda::Context& context);

  int64_t epochs() const override { return config_.epochs; }
  void train_epoch() override;
  std::vector<Metric> training_metrics() const override {
    return gradient_metrics(squared_error_, std::ssize(ratings_.items));
  }
  std::unique_ptr<TrainedModel> model() const override;

  // FOLDER/state.h5: factors, biases, and the number of epochs.
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  SvdppConfig config_;
  cuda::Context& context_;
  GradientData data_;
  UserRatings ratings_;  // minus the mean
  UserBatches batches_;
  GradientRows users_, items_, implicit_;
  int64_t epoch_ = 0;  // completed ones
  double squared_error_ = 0;
};

}  // namespace sartor
