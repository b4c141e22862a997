#include "storage/atomic_file.h"

#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <system_error>

#include "datasets/interactions_support.h"

namespace sartor::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

class AtomicFiles : public testing::FolderTest {};

TEST_F(AtomicFiles, AppearWithCommit) {
  write_file(path("配置.yaml"), "old");
  {
    AtomicFile file(path("配置.yaml"));
    EXPECT_EQ(file.temporary().parent_path(), folder_);
    std::ofstream(file.temporary()) << "new";
    EXPECT_EQ(read("配置.yaml"), "old");
    file.commit();
    EXPECT_EQ(read("配置.yaml"), "new");
  }
  EXPECT_THAT(files(), ElementsAre("配置.yaml"));
}

TEST_F(AtomicFiles, LeaveNothingWithoutCommit) {
  {
    AtomicFile file(path("b"));
    std::ofstream(file.temporary()) << "half";
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(AtomicFiles, WhatKilledProcessesLeftIsRemoved) {
  for (const auto* name : {".a.csv.partial-1", ".a.csv.partial-22", ".b.csv.partial-1", "a.csv"}) write(name, "x");
  remove_partial(path("a.csv"));
  EXPECT_THAT(files(), ElementsAre(".b.csv.partial-1", "a.csv"));
}

TEST_F(AtomicFiles, WhatLivingProcessesWriteStays) {
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  waitpid(gone, nullptr, 0);
  const auto dead = "." + std::string("表.csv.partial-") + std::to_string(gone);
  const auto living = ".表.csv.partial-" + std::to_string(getpid());
  for (const auto& name : {dead, living, std::string(".表.csv.partial-x"), std::string(".表.csv.partial-0")})
    write(name, "x");
  remove_abandoned(path("表.csv"));
  EXPECT_THAT(files(), UnorderedElementsAre(living, ".表.csv.partial-x", ".表.csv.partial-0"));
}

TEST_F(AtomicFiles, FoldersOfOutputsAreMadeAndGoIfNothingComes) {
  std::filesystem::create_directory(path("there"));
  {
    const OutputFolders folders({path("新/deep/a.csv"), path("新/b.csv"), path("there/c.csv"), path("d.csv")});
    EXPECT_TRUE(std::filesystem::is_directory(path("新/deep")));
  }
  EXPECT_THAT(files(), ElementsAre("there"));
  {
    const OutputFolders folders({path("新/deep/a.csv"), path("other/b.csv")});
    write("新/deep/a.csv", "x");
  }
  EXPECT_THAT(files(), UnorderedElementsAre("there", "新"));
  EXPECT_THAT(
      [&] {
        OutputFolders({path("more/a"), path("新/deep/a.csv/below/b")});
      },
      ThrowsMessage<std::system_error>(AllOf(HasSubstr("cannot create the folder"), HasSubstr("a.csv: "))));
  EXPECT_THAT(files(), UnorderedElementsAre("there", "新"));
}

TEST_F(AtomicFiles, NameWhatFails) {
  EXPECT_THAT(
      [&] { write_file(path("none/a.json"), "x"); },
      ThrowsMessage<std::system_error>(AllOf(HasSubstr("none/.a.json"), HasSubstr("No such file or directory"))));
  EXPECT_THAT([&] { AtomicFile(path("never written")).commit(); },
              ThrowsMessage<std::system_error>(HasSubstr("cannot open")));
  std::filesystem::create_directory(path("folder"));
  EXPECT_THAT([&] { write_file(path("folder"), "x"); },
              ThrowsMessage<std::system_error>(AllOf(HasSubstr("cannot rename to"), HasSubstr("Is a directory"))));
  EXPECT_THAT(files(), ElementsAre("folder"));
}

TEST_F(AtomicFiles, AreReadWholeUpToALimit) {
  const std::string bytes("好\0\r\n\xff", 7);
  write_file(path("文件.txt"), bytes);
  EXPECT_EQ(read_file(path("文件.txt")), bytes);
  EXPECT_EQ(read_file(path("文件.txt"), 7), bytes);
  EXPECT_THAT([&] { read_file(path("文件.txt"), 6); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("文件.txt: has 7 bytes, expected at most 6"))));
  EXPECT_THAT([&] { read_file(path("none")); }, ThrowsMessage<std::invalid_argument>(HasSubstr("No such file")));
  EXPECT_THAT([&] { read_file(folder_); }, ThrowsMessage<std::invalid_argument>(HasSubstr("directory")));
}

TEST_F(AtomicFiles, FoldersMoveWhole) {
  std::filesystem::create_directories(path("partial/model/deep"));
  write_file(path("partial/model/deep/a"), "1");
  write_file(path("partial/b"), std::string(100'000, 'x'));
  rename_folder(path("partial"), path("step-1"));
  EXPECT_THAT(files(), ElementsAre("step-1"));
  EXPECT_EQ(read("step-1/model/deep/a"), "1");
  EXPECT_EQ(read("step-1/b").size(), 100'000);

  std::filesystem::create_directory(path("other"));
  EXPECT_THAT([&] { rename_folder(path("other"), path("step-1")); },
              ThrowsMessage<std::system_error>(AllOf(HasSubstr("step-1"), HasSubstr("not empty"))));
  EXPECT_THAT([&] { rename_folder(path("none"), path("step-2")); },
              ThrowsMessage<std::system_error>(HasSubstr("cannot list")));
}

}  // namespace
}  // namespace sartor::datasets
