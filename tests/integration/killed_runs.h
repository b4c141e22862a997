// Fixture for runs of sartor-train that are killed and restarted, and must give bitwise what an uninterrupted one
// gives.
#pragma once

#include <string>
#include <vector>

#include "integration/fixture.h"

namespace sartor::testing {

class KilledRuns : public Programs {
 protected:
  // Trains without interruption, remembers the model and the metrics, and removes the run.
  void train_whole(const std::string& config, const std::string& model_file) {
    config_ = config;
    model_file_ = "run/model/" + model_file;
    expect_done(train(config_));
    expected_ = read(model_file_);
    expected_metrics_ = without_seconds(read("run/metrics.jsonl"));
    std::filesystem::remove_all(path("run"));
  }

  // Removes the epoch's duration from lines of metrics.
  static std::string without_seconds(std::string lines) {
    for (size_t at = 0; (at = lines.find("seconds\":", at)) != std::string::npos; at += 9) {
      lines.erase(at + 9, lines.find_first_of(",}", at) - at - 9);
    }
    return lines;
  }

  // The command by which a user would continue: with --resume if the run exists.
  std::vector<std::string> restart() const {
    const bool begun = std::filesystem::exists(path("run"));
    return command("sartor-train", config_, begun ? std::vector<std::string>{"--resume"} : std::vector<std::string>());
  }

  void expect_same_after_restart(const std::string& when) {
    SCOPED_TRACE(when);
    const Outcome outcome = run_command(restart());
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(read(model_file_) == expected_) << "the model differs";
    EXPECT_EQ(without_seconds(read("run/metrics.jsonl")), expected_metrics_);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      EXPECT_EQ(entry.path().string().find("partial"), std::string::npos) << entry.path();
    }
    std::filesystem::remove_all(path("run"));
  }

  // Number of calls on files that the run makes.
  int64_t calls_of_the_run() {
    const int64_t calls = count_calls(command("sartor-train", config_), folder_);
    std::filesystem::remove_all(path("run"));
    return calls;
  }

  std::string config_;

 private:
  std::string model_file_, expected_, expected_metrics_;
};

}  // namespace sartor::testing
