// Fault injection into small system programs.
#include "support/faults/faults.h"
#include "support/folder_test.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

namespace sartor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class FaultsTest : public testing::WorkingFolderTest {
 protected:
  FaultsTest() {
    fs::create_directory("watched");
    fs::create_directory("watched-not");
    write("watched/file", "1234567890");
  }

  // Five writes of one byte and a sync.
  static std::vector<std::string> five_bytes(const std::string& to) {
    return {"/bin/dd", "if=/dev/zero", "of=" + to, "bs=1", "count=5", "conv=fsync", "status=none"};
  }
};

TEST_F(FaultsTest, CountsChangesBelowTheFolderAlone) {
  EXPECT_EQ(count_calls(five_bytes("watched/new"), "watched"), 6);
  EXPECT_EQ(count_calls(five_bytes("watched-not/new"), "watched"), 0);
  EXPECT_EQ(count_calls({"/bin/mkdir", "watched/folder"}, "watched"), 1);
  EXPECT_EQ(count_calls({"/bin/mv", "-T", "watched/new", "watched-not/new2"}, "watched"), 1) << "away";
  EXPECT_EQ(count_calls({"/bin/mv", "-T", "watched-not/new2", "watched/new"}, "watched"), 1) << "in";
  EXPECT_EQ(count_calls({"/usr/bin/truncate", "-s", "3", path("watched/new")}, "watched"), 1);
  EXPECT_EQ(count_calls({"/bin/rm", "watched/new"}, "watched"), 1);
  EXPECT_EQ(count_calls({"/bin/rmdir", "watched/folder"}, "watched"), 1);
  EXPECT_EQ(count_calls({"/bin/cat", "watched/file"}, "watched"), 0);
}

TEST_F(FaultsTest, KillsBeforeOrAfterTheCall) {
  EXPECT_EQ(run_with_fault(five_bytes("watched/before"), "watched", 3, Fault::kill_before).status, 137);
  EXPECT_EQ(fs::file_size("watched/before"), 2);
  EXPECT_EQ(run_with_fault(five_bytes("watched/after"), "watched", 3, Fault::kill_after).status, 137);
  EXPECT_EQ(fs::file_size("watched/after"), 3);
  EXPECT_EQ(run_with_fault({"/bin/rm", "watched/file"}, "watched", 1, Fault::kill_before).status, 137);
  EXPECT_TRUE(fs::exists("watched/file"));
  EXPECT_EQ(run_with_fault({"/bin/rm", "watched/file"}, "watched", 1, Fault::kill_after).status, 137);
  EXPECT_FALSE(fs::exists("watched/file"));
  EXPECT_EQ(run_with_fault(five_bytes("watched/more"), "watched", 7, Fault::kill_before).status, 0)
      << "there is no call 7";
}

TEST_F(FaultsTest, SignalsBeforeTheCall) {
  EXPECT_EQ(run_with_fault(five_bytes("watched/term"), "watched", 3, Fault::terminate).status, 143);
  EXPECT_EQ(fs::file_size("watched/term"), 2);
  EXPECT_EQ(run_with_fault(five_bytes("watched/int"), "watched", 3, Fault::interrupt).status, 130);
  const auto handled = run_with_fault({"/bin/sh", "-c", "trap 'echo handled' TERM; echo x > watched/shell"}, "watched",
                                      1, Fault::terminate);
  EXPECT_EQ(handled.status, 0);
  EXPECT_EQ(handled.out, "handled\n");
}

TEST_F(FaultsTest, FullDiskStaysFullButLetsGo) {
  const auto full = run_with_fault(five_bytes("watched/full"), "watched", 3, Fault::disk_full);
  EXPECT_EQ(full.status, 1);
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  EXPECT_EQ(fs::file_size("watched/full"), 2);
  EXPECT_EQ(run_with_fault({"/bin/mkdir", "watched/folder"}, "watched", 1, Fault::disk_full).status, 1);
  EXPECT_EQ(run_with_fault({"/bin/rm", "watched/full"}, "watched", 1, Fault::disk_full).status, 0);
}

TEST_F(FaultsTest, ProgramsAreReported) {
  const auto outcome = run_command({"/bin/sh", "-c", "echo $WORD; echo 坏 >&2; exit 3"}, {"WORD=好"});
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(outcome.out, "好\n");
  EXPECT_EQ(outcome.err, "坏\n");
  EXPECT_EQ(run_command({"/bin/sh", "-c", "kill -TERM $$"}).status, 143);
  EXPECT_THAT([] { run_command({"/none"}); }, ThrowsMessage<std::runtime_error>(HasSubstr("/none: No such file")));
  EXPECT_THAT([] { count_calls({"/bin/false"}, "watched"); }, ThrowsMessage<std::runtime_error>(HasSubstr("status 1")));
}

}  // namespace
}  // namespace sartor
