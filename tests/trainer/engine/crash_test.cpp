// Kills a run, or fills up the disk, at each write, sync, rename, truncation and removal.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "support/paths.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

// Contents of all files and folders below `folder` by relative path, without the times, which differ between runs.
std::map<std::string, std::string> tree(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto name = entry.path().lexically_relative(folder).string();
    auto& text = files[name];
    if (entry.is_directory() || name.ends_with(".lock") || name.ends_with("provenance.json")) continue;
    text = text_of(entry.path());
    if (!name.ends_with("metrics.jsonl")) continue;
    std::istringstream lines(std::exchange(text, ""));
    for (std::string line; std::getline(lines, line);) {
      auto json = nlohmann::ordered_json::parse(line);
      json.erase("seconds");
      text += json.dump() + "\n";
    }
  }
  return files;
}

// N of the last line "WORD N" in `text`; `otherwise` if there is none.
int64_t number_after(const std::string& word, const std::string& text, int64_t otherwise) {
  const auto at = text.rfind(word + " ");
  return at == text.npos ? otherwise : std::stoll(text.substr(at + word.size()));
}

class Crash : public testing::WorkingFolderTest {
 protected:
  Crash() {
    std::ofstream("toy.yaml") << "task: toy\noutput: runs/toy\nepochs: 2\ncheckpoint: {keep: 1}\n";
    calls_ = count_calls(command(), folder_);
    finished_ = tree("runs");
    finished_toy_ = tree("runs/toy");
    fs::remove_all("runs");
  }

  static std::vector<std::string> command() {
    return {sartor::testing::program("trainer_toy"), "--config", "toy.yaml"};
  }
  static std::vector<std::string> resume() {
    return {sartor::testing::program("trainer_toy"), "--config", "toy.yaml",
            fs::exists("runs/toy") ? "--resume" : "--overwrite"};
  }

  int64_t calls_;
  std::map<std::string, std::string> finished_, finished_toy_;  // files of an uninterrupted run in runs/ and runs/toy/
};

TEST_F(Crash, KilledAnywhereResumesFromTheLastCheckpointOrTheOneBefore) {
  ASSERT_GT(calls_, 60);
  for (int64_t at = 1; at <= calls_; at++) {
    for (const auto fault : {Fault::kill_before, Fault::kill_after}) {
      SCOPED_TRACE(fmt::format("{} call {} of {}", fault == Fault::kill_before ? "before" : "after", at, calls_));
      fs::remove_all("runs");
      const auto killed = run_with_fault(command(), folder_, at, fault);
      ASSERT_EQ(killed.status, 137);
      const auto resumed = run_command(resume());
      ASSERT_EQ(resumed.status, 0) << resumed.err;
      ASSERT_EQ(tree("runs"), finished_);
      if (resumed.out == "complete\n") continue;
      const auto trained = number_after("trained", killed.out, 0);
      const auto first = number_after("first", resumed.out, 3);
      ASSERT_TRUE(first == trained || first == trained + 1) << "trained " << trained << ", resumed with " << first;
    }
  }
}

TEST_F(Crash, ResumeItselfMayBeKilledAnywhere) {
  const auto half_done = [&] {
    fs::remove_all("runs");
    run_with_fault(command(), folder_, calls_ / 2, Fault::kill_after);
  };
  half_done();
  const auto calls = count_calls(resume(), folder_);
  for (int64_t at = 1; at <= calls; at++) {
    SCOPED_TRACE(at);
    half_done();
    ASSERT_EQ(run_with_fault(resume(), folder_, at, Fault::kill_before).status, 137);
    const auto resumed = run_command(resume());
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    ASSERT_EQ(tree("runs"), finished_);
  }
}

TEST_F(Crash, OverwriteKilledAnywhereKeepsTheOldRun) {
  auto overwrite = command();
  overwrite.push_back("--overwrite");
  run_command(command());
  const auto calls = count_calls(overwrite, folder_);
  for (int64_t at = 1; at <= calls; at++) {
    SCOPED_TRACE(at);
    fs::remove_all("runs");
    run_command(command());
    ASSERT_EQ(run_with_fault(overwrite, folder_, at, Fault::kill_after).status, 137);
    ASSERT_EQ(tree(fs::exists("runs/toy.1") ? "runs/toy.1" : "runs/toy"), finished_toy_);
    if (fs::exists("runs/toy.1") && fs::exists("runs/toy")) return;  // the new run has replaced the old one
  }
  FAIL() << "the new run never took its name";
}

TEST_F(Crash, FullDiskIsSaidInOneLineAndLeavesNothingHalfWritten) {
  for (int64_t at = 1; at <= calls_; at++) {
    SCOPED_TRACE(at);
    fs::remove_all("runs");
    const auto full = run_with_fault(command(), folder_, at, Fault::disk_full);
    if (full.status == 0) continue;  // the remaining operations were optional or removals
    ASSERT_EQ(full.status, 2);
    const auto last_line = full.err.substr(full.err.rfind('\n', full.err.size() - 2) + 1);
    ASSERT_THAT(last_line,
                ::testing::AllOf(::testing::StartsWith("toy: "), HasSubstr("No space left"), EndsWith("\n")));
    if (fs::exists("runs")) {
      for (const auto& [name, text] : tree("runs")) ASSERT_THAT(name, ::testing::Not(HasSubstr("partial")));
    }
    const auto resumed = run_command(resume());
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    ASSERT_EQ(tree("runs"), finished_);
  }
}

}  // namespace
}  // namespace sartor
