// The training loop, run by toy_training.cpp in one process and on several ranks.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "models/hf/safetensors.h"
#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "support/metrics_log.h"
#include "support/nvtx_recorder.h"
#include "support/paths.h"
#include "support/ranks.h"

namespace sartor {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using testing::free_port;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::on_ranks;
using ::testing::Pair;
using Weights = std::map<std::string, std::vector<float>>;

class TrainingTest : public testing::WorkingFolderTest {
 protected:
  // `training`: fields of the section, such as "seed: 1, num_train_epochs: 2".
  std::vector<std::string> command(const std::string& name, const std::string& training,
                                   const std::string& more = "") const {
    const auto config = name + ".yaml";
    const bool has_rate = training.find("learning_rate") != training.npos;
    write(config, fmt::format("task: toy\ndevice: cpu\nthreads: 1\noutput: {}\n{}\ntraining: {{logging_steps: 1, "
                              "weight_decay: 0.1, {}{}}}\n",
                              name, more, has_rate ? "" : "learning_rate: 0.01, ", training));
    return {sartor::testing::program("trainer_toy_training"), "--config", config};
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

  std::vector<int64_t> steps_with(const std::string& run, const std::string& of) const {
    std::vector<int64_t> steps;
    for (const auto& line : testing::lines_of(read(run + "/metrics.jsonl"), of)) steps.push_back(line["step"]);
    return steps;
  }

  std::vector<std::string> checkpoints(const std::string& run) const {
    std::vector<std::string> names;
    for (const auto& each : std::filesystem::directory_iterator(path(run + "/checkpoints")))
      names.push_back(each.path().filename());
    std::ranges::sort(names);
    return names;
  }

  // Values of a metric in metrics.jsonl.
  std::vector<double> logged(const std::string& run, const std::string& of, const std::string& name) const {
    return testing::values_of(read(run + "/metrics.jsonl"), of, name);
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

TEST_F(TrainingTest, LogsWhatAStepTook) {
  expect_done(run_command(command("run", "per_device_batch_size: 70, max_steps: 2", "counts_flops: true")));
  double tokens = 0;
  for (int row = 0; row < 70; row++) tokens += 1 + row * 7 % 9;
  const auto only = [&](const char* name) { return logged("run", "train", name).at(1); };
  EXPECT_NEAR(only("tokens_per_second") / only("samples_per_second"), tokens / 70, 1e-9);
  EXPECT_NEAR(only("padding_avoided"), 1 - tokens / (70 * 9), 1e-9);
  EXPECT_GT(only("mfu"), 0);
  EXPECT_LT(only("mfu"), 1);
  EXPECT_GT(only("memory_mib"), 20);
  EXPECT_EQ(only("epoch"), 2);
}

TEST_F(TrainingTest, JudgesByStepsByEpochsOrNotAtAll) {  // an epoch has 5 steps
  const auto judged = [&](const std::string& name, const std::string& fields) {
    expect_done(run_command(command(name, fields)));
    return steps_with(name, "validation");
  };
  EXPECT_THAT(judged("epochs", "eval_strategy: epoch"), ElementsAre(5, 10, 15));
  EXPECT_THAT(judged("steps", "eval_strategy: steps, eval_steps: 4"), ElementsAre(4, 8, 12, 15));
  EXPECT_EQ(judged("logging", "eval_strategy: steps").size(), 15);
  EXPECT_THAT(judged("never", "eval_strategy: no"), IsEmpty());
}

TEST_F(TrainingTest, SavesByStepsByEpochsOrAtTheEnd) {
  const auto saved = [&](const std::string& name, const std::string& strategy) {
    expect_done(
        run_command(command(name, "seed: 42", "save_strategy: " + strategy + "\ncheckpoint: {every: 6, keep: 9}")));
    return checkpoints(name);
  };
  EXPECT_THAT(saved("steps", "steps"), ElementsAre("step-000006", "step-000012", "step-000015"));
  EXPECT_THAT(saved("epochs", "epoch"), ElementsAre("step-000005", "step-000010", "step-000015"));
  EXPECT_THAT(saved("end", "no"), ElementsAre("step-000015"));
}

TEST_F(TrainingTest, StrategiesThatContradictThemselvesAreNamed) {
  const auto refused = [&](const std::string& fields, const std::string& message) {
    const auto outcome = run_command(command("run", fields));
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(message));
  };
  refused("eval_steps: 10", "eval_steps is 10, which requires eval_strategy: steps");
  refused("eval_strategy: no, load_best_model_at_end: true",
          "eval_strategy is no, but early_stopping and load_best_model_at_end require evaluations");
  refused("eval_strategy: no, early_stopping: {patience: 1}", "eval_strategy is no, but early_stopping");
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
    const auto fields = fmt::format(", gradient_accumulation_steps: {}", accumulation);
    const auto name = [&](const std::string& ranks) { return ranks + accumulation; };
    expect_done(run_command(command(name("one"), "per_device_batch_size: 8" + fields)));
    for (const std::string two : {"two", "rarely"}) {
      SCOPED_TRACE(name(two));
      const auto more = fmt::format("waits_rarely: {}", two == "rarely");
      const auto words = command(name(two), "per_device_batch_size: 4" + fields, more);
      for (const auto& rank : on_ranks(2, words)) expect_done(rank);
      expect_near(logged(name(two), "train", "loss"), logged(name("one"), "train", "loss"), 1e-5);
      EXPECT_LT(difference(weights(name(two)), weights(name("one"))), 1e-5);
    }
  }
}

TEST_F(TrainingTest, RanksWithoutRowsTakePart) {
  expect_done(run_command(command("one", "per_device_batch_size: 69")));  // the second step has one row
  for (const std::string waits : {"false", "true"}) {
    const auto words = command("three-" + waits, "per_device_batch_size: 23", "waits_rarely: " + waits);
    for (const auto& rank : on_ranks(3, words)) expect_done(rank);
    EXPECT_LT(difference(weights("three-" + waits), weights("one")), 1e-5);
  }
}

TEST_F(TrainingTest, KilledAndResumedEqualsUninterrupted) {
  const auto fields = "per_device_batch_size: 8, gradient_accumulation_steps: 2, warmup_steps: 3";
  for (const std::string waits : {"false", "true"}) {
    SCOPED_TRACE(waits);
    const auto whole = "whole-" + waits, killed = "killed-" + waits;
    const auto more = "dropout: 0.2\ncheckpoint: {every: 2, keep: 1}\nwaits_rarely: " + waits;
    expect_done(run_command(command(whole, fields, more)));
    const auto command_of_killed = command(killed, fields, more);
    for (const int die_in : {1, 5, 14}) {  // before the run exists, in the middle, near the end
      auto words = command_of_killed;
      words.insert(words.end(), {"--set", fmt::format("die_in={}", die_in)});
      if (std::filesystem::exists(path(killed))) words.push_back("--resume");
      EXPECT_EQ(run_command(words).status, 137);
    }
    auto words = command_of_killed;
    words.push_back("--resume");
    expect_done(run_command(words));
    EXPECT_EQ(weights(killed), weights(whole));
    EXPECT_EQ(logged(killed, "train", "loss"), logged(whole, "train", "loss"));
    EXPECT_EQ(logged(killed, "validation", "loss"), logged(whole, "validation", "loss"));
  }
}

TEST_F(TrainingTest, AStopSignalOfOneRankStopsAllAfterTheSameStep) {
  for (const std::string waits : {"false", "true"}) {
    SCOPED_TRACE(waits);
    const auto more = "dropout: 0.2\ncheckpoint: {keep: 1}\nsave_strategy: no\nwaits_rarely: " + waits;
    for (const auto& rank : on_ranks(2, command("whole-" + waits, "num_train_epochs: 9", more))) expect_done(rank);
    auto words = command("stopped-" + waits, "num_train_epochs: 9", more);
    auto stopped = words;
    stopped.insert(stopped.end(),
                   {"--set", "die_in=9", "--set", "die_rank=1", "--set", fmt::format("signal={}", SIGTERM)});
    for (const auto& rank : on_ranks(2, stopped)) {
      EXPECT_EQ(rank.status, 128 + SIGTERM) << rank.err;
      EXPECT_THAT(rank.err, HasSubstr("stopped by SIGTERM after step "));
    }
    ASSERT_EQ(checkpoints("stopped-" + waits).size(), 1);
    words.push_back("--resume");
    for (const auto& rank : on_ranks(2, words)) expect_done(rank);
    EXPECT_EQ(weights("stopped-" + waits), weights("whole-" + waits));
  }
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

TEST_F(TrainingTest, AllRanksEndWithTheRefusalOfTheFirst) {
  const auto begin = std::chrono::steady_clock::now();
  std::filesystem::create_directory("taken");
  const auto refused = [&](const std::vector<std::string>& words, const std::string& said) {
    const auto ranks = on_ranks(3, words);
    for (size_t rank = 0; rank < ranks.size(); rank++) {
      EXPECT_EQ(ranks[rank].status, 2);
      EXPECT_EQ(ranks[rank].err, "toy: " + std::string(rank > 0 ? "rank 0: " : "") + said + "\n");
    }
  };
  refused(command("taken", "per_device_batch_size: 8"),
          "taken exists: --resume continues it, --overwrite moves it aside");
  auto resumed = command("none", "per_device_batch_size: 8");
  resumed.push_back("--resume");
  refused(resumed, "there is no run none to resume");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

// As with torchrun: one rank is killed in its 8th step, torchrun stops the others and restarts all with the same
// command.
TEST_F(TrainingTest, TorchrunGoesOnAfterARankWasKilled) {
  const auto more = "dropout: 0.2\ncheckpoint: {every: 2, keep: 1}";
  const auto start = [](const std::vector<std::string>& words) {
    return sartor::testing::under_torchrun(2, words, {"--max-restarts=1"});
  };
  expect_done(start(command("whole", "per_device_batch_size: 8", more)));
  auto killed = command("killed", "per_device_batch_size: 8", more);
  killed.insert(killed.end(), {"--set", "die_in=8", "--set", "die_rank=1"});
  const auto outcome = start(killed);
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("restarted by torchrun: resuming killed"));
  EXPECT_EQ(weights("killed"), weights("whole"));
  EXPECT_EQ(logged("killed", "train", "loss"), logged("whole", "train", "loss"));
  EXPECT_EQ(json::parse(read("killed/provenance.json"))["starts"].size(), 2);
  EXPECT_EQ(json::parse(read("killed/provenance.json"))["starts"][1]["done_before"], 6);

  const auto again = start(killed);  // another launch must not resume the run, however often it is restarted
  EXPECT_NE(again.status, 0);
  EXPECT_THAT(again.err, HasSubstr("killed exists: --resume continues it"));
  EXPECT_EQ(json::parse(read("killed/provenance.json"))["starts"].size(), 2);
}

TEST_F(TrainingTest, EarlyStoppingKeepsTheBest) {
  expect_done(run_command(command("run",
                                  "num_train_epochs: 50, learning_rate: 3, early_stopping: {patience: 3}, "
                                  "load_best_model_at_end: true")));
  const auto judged = logged("run", "validation", "loss");
  EXPECT_LT(judged.size(), 50);
  const auto best = std::ranges::min_element(judged);
  EXPECT_EQ(judged.end() - best, 4);  // the best evaluation and three without improvement
  EXPECT_EQ(json::parse(read("run/results.json"))["test"]["loss"], *best);
}

TEST_F(TrainingTest, WhatStoppedEarlyStaysStoppedWhenResumed) {
  const auto words =
      command("run", "num_train_epochs: 50, learning_rate: 3, early_stopping: {patience: 3}", "checkpoint: {every: 1}");
  expect_done(run_command(words));
  const auto before = weights("run");
  const auto judged = logged("run", "validation", "loss");
  std::filesystem::remove("run/results.json");  // as after a kill between the last checkpoint and the results
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
  EXPECT_THAT(outcome.err, HasSubstr("the step was discarded. A lower learning_rate"));
}

TEST_F(TrainingTest, AModelThatItsLastStepOverflowedIsNotFinished) {
  const auto outcome = run_command(command("run", "learning_rate: 1.0e+39, max_steps: 1, eval_strategy: no"));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("toy: the model is no longer finite: in.weight has overflowed"));
  EXPECT_THAT(checkpoints("run"), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists("run/model"));
  EXPECT_FALSE(std::filesystem::exists("run/results.json"));
}

TEST_F(TrainingTest, SpikesEndTheRunAndTheLastGoodCheckpointStays) {  // the learning rate rises until training diverges
  const auto words = command("run",
                             "num_train_epochs: 12, learning_rate: 3, warmup_steps: 60, max_grad_norm: 0, "
                             "eval_strategy: no, spike: {factor: 3, window: 20, patience: 2}",
                             "checkpoint: {every: 1, keep: 1}");
  const auto stopped = run_command(words);
  EXPECT_EQ(stopped.status, 1);
  const auto losses = logged("run", "train", "loss");
  const auto last = std::ssize(losses);
  ASSERT_GT(last, 20);
  EXPECT_THAT(stopped.err, HasSubstr(fmt::format("toy: step {}: the loss of the last 2 steps was {:.4g}, {:.4g}, more "
                                                 "than 3 times ",
                                                 last, losses[last - 2], losses[last - 1])));
  EXPECT_THAT(stopped.err, HasSubstr("--resume --set training.spike.factor=0 continues regardless"));
  EXPECT_EQ(std::ranges::count(stopped.err.substr(stopped.err.find("toy: ")), '\n'), 1);
  EXPECT_THAT(checkpoints("run"), ElementsAre(fmt::format("step-{:06}", last - 2)));

  auto again = words;
  again.push_back("--resume");
  EXPECT_EQ(run_command(again).status, 1);
  EXPECT_EQ(logged("run", "train", "loss"), losses) << "the same steps, the same end";
  again.insert(again.end(), {"--set", "training.spike.factor=0"});
  expect_done(run_command(again));
  EXPECT_EQ(logged("run", "train", "loss").size(), 60);
}

TEST_F(TrainingTest, EachStepIsARangeOfTheProfiler) {
#ifdef SARTOR_WITHOUT_CUDA
  GTEST_SKIP() << "this build has no NVTX";
#endif
  const auto ranges = testing::recorded_ranges(command("run", "seed: 1, max_steps: 3"), path("ranges.txt"));
  const std::string step = "step", forward = "  forward", backward = "  backward", optimizer = "  optimizer";
  EXPECT_THAT(ranges, ElementsAre(step, forward, backward, optimizer, step, forward, backward, optimizer, step, forward,
                                  backward, optimizer));
}

TEST_F(TrainingTest, RanksNeedAnAddress) {
  const auto outcome = run_command(command("run", "seed: 1"), {"RANK=0", "WORLD_SIZE=2"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("WORLD_SIZE is 2 but MASTER_ADDR is not set; start the processes with torchrun"));
}

}  // namespace
}  // namespace sartor
