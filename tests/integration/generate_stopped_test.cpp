// Generation that is stopped, killed and resumed, and divided among ranks.
#include "integration/generate_fixture.h"
#include "support/ranks.h"

namespace sartor::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GeneratingStopped : public Generating {
 protected:
  GeneratingStopped() {
    write_customers();
    expect_done(infer(generate_config));
    expected_ = taken();
  }

  void expect_same_after_restart(const std::string& when, int ranks = 1) const {
    SCOPED_TRACE(when);
    const bool begun = std::filesystem::exists(path("out.csv.parts")) || std::filesystem::exists(path("out.csv"));
    const auto words = command("sartor-infer", generate_config,
                               begun ? std::vector<std::string>{"--resume"} : std::vector<std::string>());
    for (const auto& rank : on_ranks(ranks, words)) ASSERT_EQ(rank.status, 0) << rank.err;
    EXPECT_THAT(outputs(), ElementsAre("out.csv", "out.csv.job.json", "out.csv.rejects.tsv", "out.csv.results.json",
                                       "out.review.csv"));
    EXPECT_EQ(taken(), expected_);
  }

  std::vector<std::string> expected_;
};

TEST_F(GeneratingStopped, KilledAndResumed) {
  const auto words = command("sartor-infer", generate_config);
  const int64_t calls = count_calls(words, folder_);
  taken();
  ASSERT_GT(calls, 60);
  for (int64_t call = calls / 13; call <= calls && !HasFatalFailure(); call += calls / 11) {
    const auto fault = call % 2 == 0 ? Fault::kill_before : Fault::kill_after;
    ASSERT_EQ(run_with_fault(words, folder_, call, fault).status, 137);
    expect_same_after_restart("call " + std::to_string(call));
  }
}

TEST_F(GeneratingStopped, KilledFiveTimesOnTwoRanks) {
  const auto fresh = command("sartor-infer", generate_config);
  const auto resumed = command("sartor-infer", generate_config, {"--resume"});
  const int64_t calls = count_calls(fresh, folder_);
  taken();
  for (int kill = 0; kill < 5; kill++) {
    const auto words = std::filesystem::exists(path("out.csv.parts")) ? resumed : fresh;
    ASSERT_EQ(run_with_fault(words, folder_, calls / 4 + 3 * kill, Fault::kill_before).status, 137);
  }
  ASSERT_TRUE(std::filesystem::exists(path("out.csv.parts")));
  expect_same_after_restart("five kills", 2);
}

TEST_F(GeneratingStopped, TextsDoNotDependOnRanksBatchesOrThreads) {
  const auto same = [&](const std::vector<std::string>& more, int ranks = 1) {
    for (const auto& rank : on_ranks(ranks, command("sartor-infer", generate_config, more))) {
      ASSERT_EQ(rank.status, 0) << rank.err;
    }
    EXPECT_EQ(taken(), expected_) << ::testing::PrintToString(more);
  };
  same({}, 2);
  same({}, 3);
  same({"--set", "limits.max_sequences=1"});
  same({"--set", "limits.max_sequences=64", "--set", "window=1000"});
  same({"--set", "limits.prefill_tokens=3", "--set", "limits.share_prefixes=false"});
  same({"--set", "threads=2"});
  same({"--set", "rows_per_part=1000"});
  same({"--set", "rows_per_part=1"});
}

TEST_F(GeneratingStopped, SignalsStopItInOrder) {
  const auto words = command("sartor-infer", generate_config);
  const int64_t calls = count_calls(words, folder_);
  taken();
  int stopped = 0;
  for (int64_t call = calls / 4; call <= calls && !HasFatalFailure(); call += calls / 5) {
    const Outcome outcome = run_with_fault(words, folder_, call, Fault::terminate);
    if (outcome.status == 0) {  // the job was already done
      EXPECT_EQ(taken(), expected_);
      continue;
    }
    stopped++;
    EXPECT_EQ(outcome.status, 143) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("stopped by SIGTERM: --resume continues"));
    for (const auto& name : files()) EXPECT_EQ(name.find("partial"), name.npos) << name;
    expect_same_after_restart("signal at call " + std::to_string(call));
  }
  EXPECT_GT(stopped, 1);
}

TEST_F(GeneratingStopped, OnlyTheSameJobIsResumed) {
  const auto words = command("sartor-infer", generate_config);
  const int64_t calls = count_calls(words, folder_);
  taken();
  ASSERT_EQ(run_with_fault(words, folder_, calls / 2, Fault::kill_before).status, 137);
  const auto refused = [&](const std::vector<std::string>& more, const std::string& said) {
    const Outcome outcome = infer(generate_config, more);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, ContainsRegex(said));
  };
  refused({}, "out.csv.parts exists.*--resume continues it");
  refused({"--resume", "--set", "decoding.seed=43"}, "decoding.seed: the job began with 42");
  refused({"--resume", "--set", "precision=int8"}, "precision: the job began with fp32");
  const auto customers = read("customers.csv");
  write("customers.csv", customers + "x,y,z,1\n");
  refused({"--resume"}, "customers.csv has changed since the job began");
  write("customers.csv", customers);
  expect_done(infer(generate_config, {"--resume", "--set", "limits.max_sequences=3", "--set", "window=2"}));
  EXPECT_EQ(taken(), expected_);
}

TEST_F(GeneratingStopped, ExistingFilesAreNotReplacedUnasked) {
  for (const auto* name : {"out.csv", "out.csv.results.json", "out.review.csv"}) {
    write(name, "mine");
    const Outcome outcome = infer(generate_config);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(path(name) + " exists: --overwrite replaces it"));
    EXPECT_EQ(read(name), "mine");
    expect_done(infer(generate_config, {"--overwrite"}));
    EXPECT_EQ(taken(), expected_);
  }
}

}  // namespace
}  // namespace sartor::testing
