// task: factorize. Trains a factorization of prepared ratings and writes factors.h5.
#pragma once

#include <functional>
#include <memory>

#include "engine/run.h"
#include "models/factorization/algorithms.h"
#include "models/factorization/device_memory.h"
#include "runtime/runtime.h"
#include "tasks/factors/evaluation.h"

namespace sartor {

struct PreparedConfig {
  std::string path;

  template <class Fields> void describe(Fields& field) {
    field.required("path", path, file_path(), "Prepared HDF5 file to train on, written by task prepare.");
  }
};

struct FactorStoppingConfig {
  std::string metric = "ndcg@10";
  int64_t patience = 0;
  double minimum_improvement = 0;

  template <class Fields> void describe(Fields& field) {
    field("metric", metric,
          "Validation metric that selects the best epoch: rmse or mae, of which lower is better, or a ranking metric "
          "at a "
          "cutoff of evaluation.at, such as ndcg@10, of which higher is better (but lower for gini).");
    field(
        "patience", patience, at_least(0),
        "Number of consecutive evaluations without improvement after which training stops; the result is the model of "
        "the best evaluation. 0: train all epochs and use the last.");
    field("minimum_improvement", minimum_improvement, at_least(0),
          "Smallest change of the metric that counts as an improvement.");
  }
};

struct FactorizeConfig : RunConfig, RanksConfig, DeviceMemoryConfig {
  PreparedConfig data;
  EvaluationConfig evaluation;
  FactorStoppingConfig early_stopping;

  void check() const {
    require(early_stopping.patience == 0 || is_metric(evaluation, early_stopping.metric),
            "early_stopping.metric is {}, expected rmse, mae or a ranking metric at a cutoff of evaluation.at, such as "
            "ndcg@{}",
            early_stopping.metric, evaluation.at.empty() ? 10 : evaluation.at.front());
  }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

template <class Algorithms> struct FactorizeConfigOf : FactorizeConfig {
  typename Algorithms::Config model;

  template <class Fields> void describe(Fields& field) {
    RunConfig::describe(field);
    RanksConfig::describe(field);
    DeviceMemoryConfig::describe(field);
    field("data", data, "Training data.");
    field("model", model, "Algorithm and its hyperparameters.");
    field("evaluation", evaluation,
          "How to evaluate the model: on the validation split during training and on the test split at the end.");
    field("early_stopping", early_stopping, "Stops training before the last epoch if the metric no longer improves.");
  }
  std::vector<std::filesystem::path> reads() const {
    auto files = model.reads();
    files.insert(files.begin(), data.path);
    return files;
  }
};

using MakeFactorizer =
    std::function<std::unique_ptr<Factorizer>(const datasets::Prepared&, cuda::Context&, Collective& ranks)>;

// run.ranks() share the training, as far as the algorithm supports it, and the evaluation. The first one writes.
void factorize(const FactorizeConfig& config, const MakeFactorizer& make, Runtime& runtime, Run& run);

// Runs the task with the algorithm that config.model selects from `Algorithms`.
template <class Algorithms> void factorize_by(const FactorizeConfigOf<Algorithms>& config, Runtime& runtime, Run& run) {
  const auto make = [&](const auto& data, auto& context, auto& ranks) {
    return config.model.make(data, context, ranks, config.max_device_memory);
  };
  factorize(config, make, runtime, run);
}

}  // namespace sartor
