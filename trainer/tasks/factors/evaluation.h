// How good a trained model is on a part of the prepared data.
#pragma once

#include <vector>

#include "metrics/metric.h"
#include "models/factorization/factor_model.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct EvaluationConfig {
  std::vector<int64_t> at = {10};
  double relevant_from = 0;

  template <class Fields> void describe(Fields& field) {
    field("at", at, between(1, 10000), "Lengths of the recommendation lists that are judged.");
    field("relevant_from", relevant_from, "Held-out ratings from this value on count as relevant; 0 takes all.");
  }
};

enum class HeldOut { validation, test };

// Rating metrics over a split, predictions clipped to the range of the data (none for a model that predicts no
// ratings), and ranking metrics over its users: all items are ranked but those that the user has in the splits before
// it (train; for test, validation too). Empty for a split without ratings.
std::vector<Metric> evaluate(cuda::Context& context, const TrainedModel& model, const datasets::Prepared& data,
                             HeldOut split, const EvaluationConfig& config);

// Baselines as models without factors, so that the same code scores them. They have no ids.
FactorModel popularity_baseline(const datasets::Prepared& data);  // ranks by training count, predicts the global mean
FactorModel user_mean_baseline(
    const datasets::Prepared& data);  // predicts the user's mean, the global one where there is none

}  // namespace sartor
