// Evaluates a trained factorization on a split of the prepared data.
#pragma once

#include <string_view>
#include <vector>

#include "metrics/metric.h"
#include "models/factorization/factor_model.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

struct EvaluationConfig {
  std::vector<int64_t> at = {10};
  double relevant_from = 0;
  int64_t every = 1;

  template <class Fields> void describe(Fields& field) {
    field("at", at, between(1, 10000),
          "Cutoffs k of the ranking metrics: the lengths of the evaluated recommendation lists.");
    field("relevant_from", relevant_from, "Smallest held-out rating that counts as relevant. 0: all of them.");
    field("every", every, at_least(1),
          "Epochs between evaluations on the validation split. The last epoch is always evaluated.");
  }
};

// Whether evaluate() may compute a metric of this name.
bool is_metric(const EvaluationConfig& config, std::string_view name);

enum class HeldOut { validation, test };

// Rating metrics over a split, with predictions clipped to the range of the ratings (omitted if the model does not
// predict ratings), and ranking metrics averaged over its users. Ranks all items except those that the user rated in
// earlier splits (train; for test also validation). Users without relevant items are not ranked. Returns no metrics for
// an empty split. Runs on all threads. Ranks evaluate about the same number of consecutive users each; all get the same
// metrics. These do not depend on the numbers of threads and ranks, bit for bit.
std::vector<Metric> evaluate(cuda::Context& context, const TrainedModel& model, const datasets::Prepared& data,
                             HeldOut split, const EvaluationConfig& config, Collective& ranks);
std::vector<Metric> evaluate(cuda::Context& context, const TrainedModel& model, const datasets::Prepared& data,
                             HeldOut split, const EvaluationConfig& config);

// Baselines are models without factors and ids, so that the same code evaluates them.

// Ranks items by their number of training ratings; predicts the global mean.
FactorModel popularity_baseline(const datasets::Prepared& data);

// Predicts the user's mean training rating, or the global mean for users without training ratings.
FactorModel user_mean_baseline(const datasets::Prepared& data);

}  // namespace sartor
