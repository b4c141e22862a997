// Scoring that is stopped, killed and resumed.
#include <fcntl.h>
#include <sys/file.h>

#include <chrono>

#include "integration/scoring_fixture.h"
#include "support/ranks.h"

namespace sartor::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ScoringStopped : public Scoring {
 protected:
  ScoringStopped() {
    write_texts();
    expect_done(infer(classify_config));
    expected_ = taken();
  }
  // Restarts a killed job as a user would: resumes it if it exists, otherwise starts it.
  void expect_same_after_restart(const std::string& when, int ranks = 1, std::vector<std::string> more = {}) const {
    SCOPED_TRACE(when);
    const bool begun = std::filesystem::exists(path("out.csv.parts")) || std::filesystem::exists(path("out.csv"));
    if (begun) more.push_back("--resume");
    const auto words = command("sartor-infer", classify_config, more);
    for (const auto& rank : on_ranks(ranks, words)) ASSERT_EQ(rank.status, 0) << rank.err;
    EXPECT_THAT(outputs(), ElementsAre("out.csv", "out.csv.job.json", "out.csv.rejects.tsv"));
    EXPECT_EQ(taken(), expected_);
  }
  // Kills at every `stride`th call; job_parts_test.cpp covers each call.
  void kill(Fault fault, int64_t stride) const {
    const std::vector<std::string> many_parts = {"--set", "rows_per_part=12"};
    const auto words = command("sartor-infer", classify_config, many_parts);
    const int64_t calls = count_calls(words, folder_);
    taken();
    ASSERT_GT(calls, 100);
    for (int64_t call = stride; call <= calls && !HasFatalFailure(); call += stride) {
      const Outcome outcome = run_with_fault(words, folder_, call, fault);
      ASSERT_EQ(outcome.status, 137) << outcome.err;
      expect_same_after_restart("call " + std::to_string(call), 1, many_parts);
    }
  }

  std::pair<std::string, std::string> expected_;
};

TEST_F(ScoringStopped, KilledBeforeCalls) { kill(Fault::kill_before, 9); }

TEST_F(ScoringStopped, KilledAfterCalls) { kill(Fault::kill_after, 10); }

TEST_F(ScoringStopped, AFullDiskLeavesWhatWasDone) {
  const auto words = command("sartor-infer", classify_config);
  const int64_t calls = count_calls(words, folder_);
  taken();
  for (int64_t call = 1; call <= calls; call += 19) {
    const Outcome outcome = run_with_fault(words, folder_, call, Fault::disk_full);
    if (outcome.status == 0) {  // only removing files was left
      EXPECT_EQ(taken(), expected_);
      continue;
    }
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("No space left on device"));
    expect_same_after_restart("full at call " + std::to_string(call));
    if (HasFatalFailure()) return;
  }
}

TEST_F(ScoringStopped, SignalsStopItInOrder) {
  const auto words = command("sartor-infer", classify_config);
  const int64_t calls = count_calls(words, folder_);
  taken();
  int stopped = 0;
  for (int64_t call = 1; call <= calls && !HasFatalFailure(); call += 13) {
    const bool terminate = call % 2 == 0;
    const Outcome outcome = run_with_fault(words, folder_, call, terminate ? Fault::terminate : Fault::interrupt);
    if (outcome.status == 0) {  // the job was already done
      EXPECT_EQ(taken(), expected_);
      continue;
    }
    stopped++;
    EXPECT_EQ(outcome.status, terminate ? 143 : 130) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(terminate ? "stopped by SIGTERM: --resume continues" : "stopped by SIGINT"));
    for (const auto& name : files()) EXPECT_EQ(name.find("partial"), name.npos) << name;
    expect_same_after_restart("signal at call " + std::to_string(call));
  }
  EXPECT_GT(stopped, 4);
}

TEST_F(ScoringStopped, OtherRanksMayGoOn) {
  const auto words = command("sartor-infer", classify_config);
  for (const int64_t call : {12, 30}) {
    ASSERT_EQ(run_with_fault(words, folder_, call, Fault::kill_before).status, 137);
    ASSERT_TRUE(std::filesystem::exists(path("out.csv.parts")));
    expect_same_after_restart("call " + std::to_string(call), 3);
  }
}

TEST_F(ScoringStopped, OnlyTheSameJobIsResumed) {
  ASSERT_EQ(run_with_fault(command("sartor-infer", classify_config), folder_, 30, Fault::kill_before).status, 137);
  const auto refused = [&](const std::vector<std::string>& more, const std::string& said) {
    const Outcome outcome = infer(classify_config, more);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, ContainsRegex(said));
  };
  refused({}, "out.csv.parts exists.*--resume continues it");
  refused({"--resume", "--set", "precision=int8"}, "precision: the job began with fp32");
  refused({"--resume", "--set", "rows_per_part=21"}, "rows_per_part: the job began with 20");
  const auto texts = read("texts.csv");
  write("texts.csv", texts + "x,y\n");
  refused({"--resume"}, "texts.csv has changed since the job began");
  write("texts.csv", texts);
  write("model/calibration.json", "{\"temperature\": 2}");
  refused({"--resume"}, "the job began with 6 files, --resume cannot continue with 7");
  std::filesystem::remove(path("model/calibration.json"));
  std::filesystem::rename(path("texts.csv"), path("moved.csv"));
  expect_done(infer(classify_config, {"--resume", "--set", "source.path=" + path("moved.csv"), "--set", "window=3"}));
  EXPECT_EQ(taken().first, expected_.first);
}

// Every rank ends with the one line of the first, at once: none waits for those that are gone.
class ScoringRefused : public Scoring {
 protected:
  ScoringRefused() { write_texts(); }
  void refused_on_all(const std::vector<std::string>& more, const std::string& said) const {
    const auto begin = std::chrono::steady_clock::now();
    const auto ranks = on_ranks(3, command("sartor-infer", classify_config, more));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
    for (size_t rank = 0; rank < ranks.size(); rank++) {
      EXPECT_EQ(ranks[rank].status, 2);
      EXPECT_EQ(ranks[rank].err, "sartor-infer: " + std::string(rank > 0 ? "rank 0: " : "") + said + "\n");
    }
  }
};

TEST_F(ScoringRefused, ByTheFirstRankForAll) {
  write("out.csv", "mine");
  refused_on_all({}, path("out.csv") + " exists: --overwrite replaces it");
  refused_on_all({"--resume"}, path("out.csv") + " exists, but not " + path("out.csv.job.json") +
                                   ", which identifies the job that wrote it: --resume cannot use this output, "
                                   "--overwrite starts over");
  std::filesystem::remove(path("out.csv"));
  refused_on_all({"--resume"},
                 "there is no job to resume: neither " + path("out.csv") + " nor " + path("out.csv.parts") + " exists");
}

TEST_F(ScoringRefused, UnderTorchrunAtOnce) {
  write("out.csv", "mine");
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = under_torchrun(2, command("sartor-infer", classify_config));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(25)) << "torchrun kills after 30";
  EXPECT_NE(outcome.status, 0);
  // Said by rank 0, or only by the other one: torchrun stops all when the first has ended.
  const auto why = path("out.csv") + " exists: --overwrite replaces it\n";
  EXPECT_THAT(outcome.err, AnyOf(HasSubstr("sartor-infer: " + why), HasSubstr("sartor-infer: rank 0: " + why)));
}

TEST_F(ScoringRefused, TheFirstRankSpeaksForAll) {
  const auto ranks = on_ranks(2, command("sartor-infer", classify_config, {"--set", "source.encoding=auto"}));
  for (const auto& rank : ranks) expect_done(rank);
  EXPECT_THAT(ranks[0].err, AllOf(HasSubstr("texts.csv is read as utf-8"), HasSubstr("81 rows")));
  EXPECT_EQ(ranks[1].err, "");
}

TEST_F(ScoringStopped, AnotherWriterIsRefused) {
  ASSERT_EQ(run_with_fault(command("sartor-infer", classify_config), folder_, 30, Fault::kill_before).status, 137);
  const int lock = open(path("out.csv.parts/.lock").c_str(), O_RDWR);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  const Outcome outcome = infer(classify_config, {"--resume"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("out.csv is in use by process"));
  close(lock);
  expect_same_after_restart("once it has ended");
}

TEST_F(ScoringStopped, ADoneJobIsLeftAlone) {
  expect_done(infer(classify_config));
  const Outcome outcome = infer(classify_config, {"--resume"});
  expect_done(outcome);
  EXPECT_THAT(outcome.err, HasSubstr("is already complete"));
  EXPECT_EQ(taken(), expected_);
}

TEST_F(ScoringStopped, NoOtherFileIsTakenForADoneJob) {
  const auto refused = [&](const char* config, const std::string& change, const std::string& said) {
    const Outcome outcome = infer(config, {"--resume", "--set", change});
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(said), Not(HasSubstr("complete"))));
  };
  write("out.csv", "notes\n");
  refused(classify_config, "threads=1", "out.csv exists, but not " + path("out.csv.job.json"));
  write("out.h5", "notes\n");
  refused(embed_config, "threads=1", "out.h5 exists, but not " + path("out.h5.job.json"));
  EXPECT_EQ(read("out.csv"), "notes\n");

  expect_done(infer(classify_config, {"--overwrite"}));
  expect_done(infer(embed_config, {"--overwrite"}));
  write("other.csv", "id,text\n编号0,很好\n");
  write_bert_folder(path("other"), small_bert({"负面", "好"}));
  for (const char* config : {classify_config, embed_config}) {
    refused(config, "precision=int8", "precision: the job began with fp32");
    refused(config, "source.path=" + path("other.csv"), "other.csv has changed since");
    refused(config, "model=" + path("other"), "other/config.json has changed since");
    expect_done(infer(config, {"--resume"}));
  }
  refused(classify_config, "probabilities=false", "probabilities: the job began with true");
  refused(embed_config, "pooling=cls", "pooling: the job began with mean");
}

}  // namespace
}  // namespace sartor::testing
