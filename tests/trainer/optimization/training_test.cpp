// The loop, by a program that trains a small network: alone and on ranks of their own processes.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "models/hf/safetensors.h"
#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "support/ranks.h"

namespace sartor {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::on_ranks;
using ::testing::Pair;
using Weights = std::map<std::string, std::vector<float>>;

class TrainingTest : public testing::WorkingFolderTest {
 protected:
  // `training`: fields of the section, "seed: 1, num_train_epochs: 2".
  std::vector<std::string> command(const std::string& name, const std::string& training,
                                   const std::string& more = "") const {
    const auto config = name + ".yaml";
    const bool has_rate = training.find("learning_rate") != training.npos;
    write(config, fmt::format("task: toy\ndevice: cpu\nthreads: 1\noutput: {}\n{}\ntraining: {{logging_steps: 1, "
                              "weight_decay: 0.1, {}{}}}\n",
                              name, more, has_rate ? "" : "learning_rate: 0.01, ", training));
    return {TOY_PROGRAM, "--config", config};
  }

  void expect_done(const Outcome& outcome) const { ASSERT_EQ(outcome.status, 0) << outcome.err; }

  Weights weights(const std::string& run) const {
    const hf::SafetensorsFile file(path(run + "/model/toy.safetensors"));
    Weights found;
    for (const auto& tensor : file.tensors()) {
      auto& values = found[tensor.name];
      values.resize(tensor.size());
      std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    }
    EXPECT_EQ(found.size(), 4);
    return found;
  }

  static double difference(const Weights& a, const Weights& b) {
    double most = 0;
    for (const auto& [name, values] : a) {
      for (size_t i = 0; i < values.size(); i++) most = std::max<double>(most, std::abs(values[i] - b.at(name)[i]));
    }
    return most;
  }

  // "loss" and the like of each line of the log that has them.
  std::vector<double> logged(const std::string& run, const std::string& of, const std::string& name) const {
    std::vector<double> values;
    std::istringstream lines(read(run + "/metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const auto entry = json::parse(line);
      if (entry.contains(of)) values.push_back(entry[of][name]);
    }
    return values;
  }

  static void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); i++) EXPECT_NEAR(a[i], b[i], tolerance * (1 + std::abs(b[i]))) << i;
  }
};

TEST_F(TrainingTest, LearnsAndLogs) {
  expect_done(run_command(command("run", "num_train_epochs: 20")));
  const auto losses = logged("run", "train", "loss"), judged = logged("run", "validation", "loss");
  EXPECT_EQ(losses.size(), 100);
  EXPECT_EQ(judged.size(), 20);
  EXPECT_LT(losses.back(), losses.front() / 4);
  EXPECT_LT(judged.back(), judged.front());
  EXPECT_EQ(logged("run", "train", "learning_rate").front(), 0.01);
  const auto results = json::parse(read("run/results.json"));
  EXPECT_EQ(results["test"]["loss"], judged.back());
}

TEST_F(TrainingTest, AccumulationEqualsOneLargeBatch) {
  expect_done(run_command(command("large", "per_device_batch_size: 16")));
  expect_done(run_command(command("small", "per_device_batch_size: 4, gradient_accumulation_steps: 4")));
  expect_near(logged("small", "train", "loss"), logged("large", "train", "loss"), 1e-6);
  expect_near(logged("small", "train", "grad_norm"), logged("large", "train", "grad_norm"), 1e-5);
  EXPECT_LT(difference(weights("small"), weights("large")), 1e-6);
}

TEST_F(TrainingTest, TwoRanksEqualOne) {
  for (const char* accumulation : {"1", "2"}) {
    SCOPED_TRACE(accumulation);
    const auto fields = fmt::format(", gradient_accumulation_steps: {}", accumulation);
    const auto name = [&](const char* ranks) { return ranks + std::string(accumulation); };
    expect_done(run_command(command(name("one"), "per_device_batch_size: 8" + fields)));
    for (const auto& rank : on_ranks(2, command(name("two"), "per_device_batch_size: 4" + fields))) expect_done(rank);
    expect_near(logged(name("two"), "train", "loss"), logged(name("one"), "train", "loss"), 1e-5);
    EXPECT_LT(difference(weights(name("two")), weights(name("one"))), 1e-5);
  }
}

TEST_F(TrainingTest, RanksWithoutRowsTakePart) {
  expect_done(run_command(command("one", "per_device_batch_size: 69")));  // the second step has one row
  for (const auto& rank : on_ranks(3, command("three", "per_device_batch_size: 23"))) expect_done(rank);
  EXPECT_LT(difference(weights("three"), weights("one")), 1e-5);
}

TEST_F(TrainingTest, KilledAndResumedEqualsUninterrupted) {
  const auto fields = "per_device_batch_size: 8, gradient_accumulation_steps: 2, warmup_steps: 3";
  const auto more = "dropout: 0.2\ncheckpoint: {every: 2, keep: 1}";
  expect_done(run_command(command("whole", fields, more)));
  const auto killed = command("killed", fields, more);
  for (const int die_in : {1, 5, 14}) {  // before there is a run, on its way, near its end
    auto words = killed;
    words.insert(words.end(), {"--set", fmt::format("die_in={}", die_in)});
    if (std::filesystem::exists(path("killed"))) words.push_back("--resume");
    EXPECT_EQ(run_command(words).status, 137);
  }
  auto words = killed;
  words.push_back("--resume");
  expect_done(run_command(words));
  EXPECT_EQ(weights("killed"), weights("whole"));
  EXPECT_EQ(logged("killed", "train", "loss"), logged("whole", "train", "loss"));
  EXPECT_EQ(logged("killed", "validation", "loss"), logged("whole", "validation", "loss"));
}

TEST_F(TrainingTest, RanksResumeTogether) {
  const auto more = "dropout: 0.2\ncheckpoint: {every: 2, keep: 1}";
  const auto whole = command("whole", "per_device_batch_size: 8", more);
  for (const auto& rank : on_ranks(2, whole)) expect_done(rank);
  auto stopped = command("stopped", "per_device_batch_size: 8", more);
  auto first = stopped;
  first.insert(first.end(), {"--set", "training.max_steps=15", "--set", "die_in=6"});
  stopped.insert(stopped.end(), {"--set", "training.max_steps=15"});
  for (const auto& rank : on_ranks(2, first)) EXPECT_NE(rank.status, 0);
  stopped.push_back("--resume");
  for (const auto& rank : on_ranks(2, stopped)) expect_done(rank);
  EXPECT_EQ(weights("stopped"), weights("whole"));
}

TEST_F(TrainingTest, EarlyStoppingKeepsTheBest) {
  expect_done(run_command(command("run",
                                  "num_train_epochs: 50, learning_rate: 3, early_stopping: {patience: 3}, "
                                  "load_best_model_at_end: true")));
  const auto judged = logged("run", "validation", "loss");
  EXPECT_LT(judged.size(), 50);
  const auto best = std::ranges::min_element(judged);
  EXPECT_EQ(judged.end() - best, 4);  // it and the three without a better one
  EXPECT_EQ(json::parse(read("run/results.json"))["test"]["loss"], *best);
}

TEST_F(TrainingTest, WhatStoppedEarlyStaysStoppedWhenResumed) {
  const auto words =
      command("run", "num_train_epochs: 50, learning_rate: 3, early_stopping: {patience: 3}", "checkpoint: {every: 1}");
  expect_done(run_command(words));
  const auto before = weights("run");
  const auto judged = logged("run", "validation", "loss");
  std::filesystem::remove("run/results.json");  // as if killed between the last checkpoint and the results
  std::filesystem::remove_all("run/model");
  auto again = words;
  again.push_back("--resume");
  expect_done(run_command(again));
  EXPECT_EQ(weights("run"), before);
  EXPECT_EQ(logged("run", "validation", "loss"), judged);
}

TEST_F(TrainingTest, WhatIsNotFiniteStopsTheRun) {
  const auto outcome = run_command(command("run", "learning_rate: 1.0e+30, max_grad_norm: 0"));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("nothing of this step was kept. A lower learning_rate"));
}

TEST_F(TrainingTest, RanksNeedAnAddress) {
  const auto outcome = run_command(command("run", "seed: 1"), {"RANK=0", "WORLD_SIZE=2"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("WORLD_SIZE is 2 but MASTER_ADDR is not set; start the processes with torchrun"));
}

}  // namespace
}  // namespace sartor
