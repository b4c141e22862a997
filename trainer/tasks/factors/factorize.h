// task: factorize. Trains a factorization of prepared ratings and writes factors.h5.
#pragma once

#include <functional>
#include <memory>

#include "engine/run.h"
#include "models/factorization/algorithms.h"
#include "runtime/runtime.h"
#include "tasks/factors/evaluation.h"

namespace sartor {

struct PreparedConfig {
  std::string path;

  template <class Fields> void describe(Fields& field) {
    field.required("path", path, file_path(), "Prepared HDF5 file to train on, written by task prepare.");
  }
};

template <class Algorithms> struct FactorizeConfigOf : RunConfig, RanksConfig {
  PreparedConfig data;
  typename Algorithms::Config model;
  EvaluationConfig evaluation;

  template <class Fields> void describe(Fields& field) {
    RunConfig::describe(field);
    RanksConfig::describe(field);
    field("data", data, "Training data.");
    field("model", model, "Algorithm and its hyperparameters.");
    field("evaluation", evaluation,
          "How to evaluate the model: on the validation split after each epoch and on the test split at the end.");
  }
  std::vector<std::filesystem::path> reads() const { return {data.path}; }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

using MakeFactorizer =
    std::function<std::unique_ptr<Factorizer>(const datasets::Prepared&, cuda::Context&, Collective& ranks)>;

// run.ranks() share the training, as far as the algorithm supports it, and the evaluation. The first one writes.
void factorize(const PreparedConfig& config, const EvaluationConfig& evaluation, const MakeFactorizer& make,
               Runtime& runtime, Run& run);

// Runs the task with the algorithm that config.model selects from `Algorithms`.
template <class Algorithms> void factorize_by(const FactorizeConfigOf<Algorithms>& config, Runtime& runtime, Run& run) {
  const auto make = [&](const auto& data, auto& context, auto& ranks) {
    return config.model.make(data, context, ranks);
  };
  factorize(config.data, config.evaluation, make, runtime, run);
}

}  // namespace sartor
