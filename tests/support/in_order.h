// Trains a learner on rows in a fixed order, to compare with another trainer.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "optimization/training.h"
#include "support/metrics_log.h"

namespace sartor::testing {

// Wraps a learner to train on rows in a fixed order, regardless of the rows that the loop requests.
class InOrder : public Learner {
 public:
  InOrder(Learner& learner, const TrainingConfig& config, std::vector<int64_t> order)
      : learner_(learner), row_(order.size()), lengths_(order.size(), 1) {
    Sampler sampler(config, lengths_, 1);
    for (int64_t step = 0, next = 0; step < sampler.steps_per_epoch(); step++) {
      for (const auto asked : sampler.step(step)) row_[asked] = order[next++];
    }
  }

  std::vector<TrainedParameter> parameters() override { return learner_.parameters(); }
  const std::vector<int32_t>& lengths() const override { return lengths_; }
  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const override {
    return learner_.prepare(step, ordered(rows));
  }
  at::Tensor loss(const Batch& batch) override { return learner_.loss(batch); }
  Transfer transfer() const override { return learner_.transfer(); }
  std::vector<Metric> evaluate() override { return learner_.evaluate(); }
  void save(const std::filesystem::path&) const override {}
  void load(const std::filesystem::path&) override {}

 private:
  std::vector<int64_t> ordered(std::span<const int64_t> rows) const {
    std::vector<int64_t> found;
    for (const auto row : rows) found.push_back(row_[row]);
    return found;
  }

  Learner& learner_;
  std::vector<int64_t> row_;
  std::vector<int32_t> lengths_;
};

// Trains in the given order, with the folder "run" in the working directory. Returns the logged value of each step, by
// name.
inline std::map<std::string, std::vector<double>> train_in_order(TrainingConfig config, Learner& learner,
                                                                 std::vector<int64_t> order,
                                                                 Waiting waiting = Waiting::automatic) {
  config.group_by_length = false;
  config.logging_steps = 1;
  ProcessGroup ranks({}, /*gpu=*/false, std::chrono::seconds(1));
  Run run(
      {.folder = "run", .checkpoint = {.every = 1000}, .unit = "step", .ranks = &ranks, .start = {.overwrite = true}});
  InOrder ordered(learner, config, std::move(order));
  train(config, ordered, ranks, run, waiting);

  std::stringstream log;
  log << std::ifstream("run/metrics.jsonl").rdbuf();
  std::map<std::string, std::vector<double>> logged;
  for (const auto& line : lines_of(log.str(), "train")) {
    for (const auto& [name, value] : line["train"].items()) logged[name].push_back(value);
  }
  return logged;
}

// tolerance: relative.
inline void expect_equal(const std::vector<double>& found, const nlohmann::json& expected, double tolerance,
                         const std::string& name) {
  ASSERT_EQ(found.size(), expected.size()) << name;
  for (size_t i = 0; i < found.size(); i++) {
    const double value = expected[i];
    EXPECT_NEAR(found[i], value, tolerance * std::abs(value)) << name << " of step " << i + 1;
  }
}

}  // namespace sartor::testing
