// task: factorize — prepared ratings in, factors.h5 out.
#pragma once

#include "engine/run.h"
#include "models/factorization/als.h"
#include "runtime/runtime.h"
#include "tasks/factors/evaluation.h"

namespace sartor {

enum class Algorithm { als };
constexpr auto choices(Algorithm) { return std::to_array<Choice<Algorithm>>({{"als", Algorithm::als}}); }

struct PreparedConfig {
  std::string path;

  template <class Fields> void describe(Fields& field) {
    field.required("path", path, file_path(), "Prepared HDF5 file (task: prepare).");
  }
};

struct FactorizationConfig {
  Algorithm algorithm = Algorithm::als;
  AlsConfig als;
  int64_t epochs = 15;
  double popularity_weight = 0;

  template <class Fields> void describe(Fields& field) {
    field("algorithm", algorithm, "How the factors are found.");
    als.describe(field);
    field("epochs", epochs, at_least(1), "Passes over users and items.");
    field("popularity_weight", popularity_weight, at_least(0),
          "Recommendations rank by <user, item> plus this times log(1 + an item's ratings); 0 ranks by the predicted "
          "rating.");
  }
};

struct FactorizeConfig : RunConfig {
  PreparedConfig data;
  FactorizationConfig model;
  EvaluationConfig evaluation;

  template <class Fields> void describe(Fields& field) {
    RunConfig::describe(field);
    field("data", data, "What to learn from.");
    field("model", model, "What to learn.");
    field("evaluation", evaluation,
          "How the model is judged, on the validation split after each epoch and on the test split at the end.");
  }
  std::vector<std::filesystem::path> reads() const { return {data.path}; }
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

void factorize(const FactorizeConfig& config, Runtime& runtime, Run& run);

}  // namespace sartor
