// Outputs that overlap with inputs or with each other.
#include "runtime/task_files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "support/folder_test.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StrEq;
using ::testing::ThrowsMessage;

class TaskFiles : public testing::WorkingFolderTest {
 protected:
  TaskFiles() {
    fs::create_directories("数据/model");
    for (const char* name : {"数据/r.csv", "数据/model/weights", "other.csv", "config.yaml"}) write(name, "x");
  }

  static void refused(const std::vector<fs::path>& reads, const std::vector<Output>& writes, const char* message) {
    EXPECT_THAT([&] { refuse_overlap("config.yaml", reads, writes); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  }
  static void allowed(const std::vector<fs::path>& reads, const std::vector<Output>& writes) {
    EXPECT_NO_THROW(refuse_overlap("config.yaml", reads, writes));
  }
};

TEST_F(TaskFiles, AnInputIsKnownByAnyName) {
  fs::create_symlink("数据/r.csv", "link.csv");
  fs::create_symlink("数据", "linked");
  fs::create_hard_link("数据/r.csv", "hard.csv");
  refused({"数据/r.csv"}, {{"数据/r.csv"}}, "数据/r.csv is both read and written");
  refused({"other.csv", "数据/r.csv"}, {{"数据/../数据//r.csv"}},
          "数据/r.csv is both read and written, as 数据/../数据//r");
  refused({"数据/r.csv"}, {{fs::absolute("数据/r.csv")}}, "both read and written, as /");
  for (const char* name : {"link.csv", "linked/r.csv", "hard.csv"}) {
    refused({"数据/r.csv"}, {{name}}, "both read and written");
    refused({name}, {{"new.csv"}, {"数据/r.csv"}}, "both read and written");
  }
  refused({"none/../new.csv"}, {{"new.csv"}}, "both read and written");
  refused({}, {{"./config.yaml"}}, "./config.yaml is both the config and written");
  allowed({"数据/r.csv", "other.csv"}, {{"数据/new.csv"}, {"new.csv"}, {"r.csv"}});
}

TEST_F(TaskFiles, FoldersHoldInputsAndOutputs) {
  refused({"数据/model"}, {{"数据/model/out.csv"}},
          "数据/model/out.csv would be written into 数据/model, which is read");
  refused({"数据/model/"}, {{"数据/model/deep/out.csv"}}, "which is read");
  refused({"数据/r.csv"}, {{.path = "数据", .folder = true}}, "数据/r.csv is read, but 数据, which would be written");
  refused({"new/r.csv"}, {{.path = "new/", .folder = true}}, "new/r.csv is read, but new/, which would be written");
  refused({}, {{.path = "new", .folder = true}, {"new/rejects.tsv"}},
          "new/rejects.tsv would be written into new, which is written too");
  refused({}, {{"new/rejects.tsv"}, {.path = "new", .folder = true}},
          "new/rejects.tsv would be written into new, which is written too");
  allowed({"数据/model"}, {{"数据/model.csv"}, {.path = "数据/models", .folder = true}});
}

TEST_F(TaskFiles, OutputsDiffer) {
  refused({}, {{"out.h5"}, {"./out.h5"}}, "./out.h5 would be written twice, as out.h5 too");
  EXPECT_THAT(
      [] {
        refuse_overlap("", {}, {{"out.h5"}, {"out.h5"}});
      },
      ThrowsMessage<std::invalid_argument>(StrEq("out.h5 would be written twice")));
  fs::create_hard_link("other.csv", "hard.csv");
  refused({}, {{"other.csv"}, {"hard.csv"}}, "hard.csv would be written twice, as other.csv too");
}

TEST_F(TaskFiles, TemporariesOfAnOutputAreItsOwn) {
  for (const char* name : {".out.csv.partial-12", ".out.csv.parts.partial/part.csv", ".out.csv.partial/r.csv"}) {
    refused({name}, {{"out.csv"}}, "is read, but out.csv, which would be written, takes its place");
  }
  allowed({"out.csv.partials", ".out.csv", "out.csv.partial.csv", "数据/.out.csv.partial-1"}, {{"out.csv"}});
}

TEST_F(TaskFiles, TheConfigMayLieInTheFolderOfItsRun) {
  EXPECT_NO_THROW(refuse_overlap("数据/run.yaml", {}, {{.path = "数据", .folder = true}}));
}

TEST_F(TaskFiles, OutputsAreFilesOrFolders) {
  const auto refused = [](const Output& output, const char* message) {
    EXPECT_THAT([&] { refuse_other_kinds({output}); }, ThrowsMessage<std::invalid_argument>(StrEq(message)));
  };
  mkfifo("pipe", 0600);
  fs::create_symlink("nowhere", "link");
  fs::create_symlink("/dev/null", "null");
  refused({"/dev/null"}, "/dev/null is a device, expected a file to write");
  refused({"null"}, "null is a device, expected a file to write");
  refused({"pipe"}, "pipe is a pipe, expected a file to write");
  refused({"link"}, "link is a link to nothing, expected a file to write");
  refused({"数据"}, "数据 is a folder, expected a file to write");
  refused({.path = "other.csv", .folder = true}, "other.csv is a file, expected a folder to write");
  EXPECT_NO_THROW(refuse_other_kinds({{"other.csv"}, {"new.csv"}, {.path = "数据", .folder = true}, {"none/new"}}));
}

}  // namespace
}  // namespace sartor
