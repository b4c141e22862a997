// Training killed at every write, sync and rename, then resumed, gives bitwise the model of an uninterrupted run.
#include <algorithm>

#include "integration/fixture.h"

namespace sartor::testing {
namespace {

using ::testing::HasSubstr;

class Crash : public Programs {
 protected:
  void SetUp() override {
    Programs::SetUp();
    write_ratings(20, 15);
    expect_done(train(prepare_config));
    expect_done(train(config_));
    expected_ = read("run/model/factors.h5");
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

  // Restarts a killed run as a user would: resumes it if it exists, otherwise starts it.
  void expect_same_after_restart(const std::string& when) {
    SCOPED_TRACE(when);
    const bool begun = std::filesystem::exists(path("run"));
    const Outcome outcome = begun ? train(config_, {"--resume"}) : train(config_);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(read("run/model/factors.h5") == expected_) << "factors differ";
    EXPECT_EQ(without_seconds(read("run/metrics.jsonl")), expected_metrics_);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      EXPECT_EQ(entry.path().string().find("partial"), std::string::npos) << entry.path();
    }
    std::filesystem::remove_all(path("run"));
  }

  void kill_at_each_call(Fault fault) {
    const auto words = command("sartor-train", config_);
    const int64_t calls = count_calls(words, folder_);
    std::filesystem::remove_all(path("run"));
    ASSERT_GT(calls, 20);
    for (int64_t call = 1; call <= calls && !HasFatalFailure(); call++) {
      const Outcome outcome = run_with_fault(words, folder_, call, fault);
      ASSERT_EQ(outcome.status, 137) << outcome.err;
      expect_same_after_restart("call " + std::to_string(call));
    }
  }

  const std::string config_ = std::string(factorize_config) + "checkpoint: {every: 2, keep: 1}\n";
  std::string expected_, expected_metrics_;
};

TEST_F(Crash, KilledBeforeEachCall) { kill_at_each_call(Fault::kill_before); }

TEST_F(Crash, KilledAfterEachCall) { kill_at_each_call(Fault::kill_after); }

TEST_F(Crash, AFullDiskLeavesTheLastCheckpoint) {
  const auto words = command("sartor-train", config_);
  const int64_t calls = count_calls(words, folder_);
  std::filesystem::remove_all(path("run"));
  for (int64_t call = 1; call <= calls; call += 5) {
    const Outcome outcome = run_with_fault(words, folder_, call, Fault::disk_full);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("No space left on device"));
    expect_same_after_restart("full at call " + std::to_string(call));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace sartor::testing
