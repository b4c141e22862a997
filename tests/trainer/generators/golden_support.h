// Distances of a learner's parameters from their initial values, compared with those of a golden file.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/folder_test.h"
#include "support/in_order.h"
#include "support/learner_rows.h"
#include "support/paths.h"
#include "trainer/generators/generator_support.h"

namespace sartor::testing {

inline nlohmann::json read_golden(const std::string& name) {
  return nlohmann::json::parse(std::ifstream(source_path("tests/golden/" + name)));
}

// A learner whose evaluations measure how far each tensor of the saved model has moved.
template <class Trained> class Measured : public Trained {
 public:
  template <class... Arguments> explicit Measured(Arguments&&... arguments) : Trained(arguments...), start_(saved()) {}

  std::vector<Metric> evaluate() override {
    for (const auto& [name, tensor] : saved()) {
      moved_[name].push_back((tensor.to(at::kDouble) - start_.at(name).to(at::kDouble)).norm().template item<double>());
    }
    return {{"loss", 1}};
  }

  // By tensor, after each evaluation.
  const std::map<std::string, std::vector<double>>& moved() const { return moved_; }

 private:
  std::map<std::string, at::Tensor> saved() const {
    std::filesystem::create_directories("measured");
    Trained::write_model("measured");
    return tensors_of("measured");
  }

  std::map<std::string, at::Tensor> start_;
  std::map<std::string, std::vector<double>> moved_;
};

// The settings of a golden file, with an evaluation after every `eval_steps` steps.
inline TrainingConfig training_of(const nlohmann::json& settings, int64_t eval_steps) {
  TrainingConfig config;
  config.num_train_epochs = 1;
  config.learning_rate = settings["learning_rate"];
  config.weight_decay = settings["weight_decay"];
  config.max_grad_norm = settings["max_grad_norm"];
  config.warmup_steps = settings["warmup_steps"];
  config.per_device_batch_size = settings["per_device_batch_size"];
  config.gradient_accumulation_steps = settings["gradient_accumulation_steps"];
  config.eval_strategy = IntervalStrategy::steps;
  config.eval_steps = eval_steps;
  return config;
}

// Largest difference between a tensor's distance and the golden one, in units of the tolerance.
using Differences = std::map<std::string, double>;

// tolerance(name, look): absolute.
template <class Tolerance> Differences differences(const std::map<std::string, std::vector<double>>& moved,
                                                   const nlohmann::json& golden, const nlohmann::json& looks,
                                                   int64_t eval_steps, const Tolerance& tolerance) {
  Differences found;
  for (const auto& [name, expected] : golden.items()) {
    for (size_t look = 0; look < expected.size(); look++) {
      const double mine = moved.at(name).at(looks[look].get<int64_t>() / eval_steps - 1);
      const double theirs = expected[look], allowed = tolerance(name, look);
      found[name] = std::max(found[name], std::abs(mine - theirs) / allowed);
    }
  }
  return found;
}

// Largest relative difference; for the test's log.
inline double relative(const std::vector<double>& found, const nlohmann::json& expected) {
  double largest = 0;
  for (size_t i = 0; i < found.size(); i++) {
    const double value = expected[i];
    if (value != 0) largest = std::max(largest, std::abs(found[i] / value - 1));
  }
  return largest;
}

}  // namespace sartor::testing
