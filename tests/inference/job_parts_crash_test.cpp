// A job that is killed at each of its changes to files.
#include <gmock/gmock.h>

#include <filesystem>

#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "support/paths.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class JobPartsCrash : public testing::FolderTest {
 protected:
  void kill_at_each_call(Fault fault) const {
    const std::vector<std::string> words = {sartor::testing::program("inference_parts_program"),
                                            write("in.csv", "text\n"), path("out.csv")};
    const int64_t calls = count_calls(words, folder_);
    const auto expected = read("out.csv"), expected_rejects = read("out.csv.rejects.tsv");
    EXPECT_EQ(expected, "number\n0\n1\n2\n");
    remove_outputs();
    ASSERT_GT(calls, 40);
    for (int64_t call = 1; call <= calls; call++) {
      SCOPED_TRACE("call " + std::to_string(call));
      ASSERT_EQ(run_with_fault(words, folder_, call, fault).status, 137);
      auto again = words;
      if (fs::exists(path("out.csv")) || fs::exists(path("out.csv.parts"))) again.push_back("--resume");
      const auto outcome = run_command(again);
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      ASSERT_THAT(files(), ElementsAre("in.csv", "out.csv", "out.csv.job.json", "out.csv.rejects.tsv"));
      ASSERT_EQ(read("out.csv"), expected);
      ASSERT_EQ(read("out.csv.rejects.tsv"), expected_rejects);
      remove_outputs();
    }
  }
  void remove_outputs() const {
    fs::remove(path("out.csv"));
    fs::remove(path("out.csv.rejects.tsv"));
    fs::remove(path("out.csv.job.json"));
  }
};

TEST_F(JobPartsCrash, KilledBeforeEachCall) { kill_at_each_call(Fault::kill_before); }

TEST_F(JobPartsCrash, KilledAfterEachCall) { kill_at_each_call(Fault::kill_after); }

}  // namespace
}  // namespace sartor::inference
