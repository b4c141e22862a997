// Training killed at every write, sync and rename, then resumed, gives bitwise the model of an uninterrupted run.
#include "integration/killed_runs.h"

namespace sartor::testing {
namespace {

using ::testing::HasSubstr;

class Crash : public KilledRuns {
 protected:
  void SetUp() override {
    KilledRuns::SetUp();
    write_ratings(20, 15);
    expect_done(train(prepare_config));
    train_whole(std::string(factorize_config) + "checkpoint: {every: 2, keep: 1}\n", "factors.h5");
  }

  void kill_at_each_call(Fault fault) {
    const int64_t calls = calls_of_the_run();
    ASSERT_GT(calls, 20);
    for (int64_t call = 1; call <= calls && !HasFatalFailure(); call++) {
      const Outcome outcome = run_with_fault(restart(), folder_, call, fault);
      ASSERT_EQ(outcome.status, 137) << outcome.err;
      expect_same_after_restart("call " + std::to_string(call));
    }
  }
};

TEST_F(Crash, KilledBeforeEachCall) { kill_at_each_call(Fault::kill_before); }

TEST_F(Crash, KilledAfterEachCall) { kill_at_each_call(Fault::kill_after); }

TEST_F(Crash, AFullDiskLeavesTheLastCheckpoint) {
  const int64_t calls = calls_of_the_run();
  for (int64_t call = 1; call <= calls; call += 5) {
    const Outcome outcome = run_with_fault(restart(), folder_, call, Fault::disk_full);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("No space left on device"));
    expect_same_after_restart("full at call " + std::to_string(call));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace sartor::testing
