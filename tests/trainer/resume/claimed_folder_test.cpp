// One writer a folder, from where it is made to where it is removed.
#include "resume/claimed_folder.h"

#include <gmock/gmock.h>

#include "support/folder_test.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

class ClaimedFolderTest : public testing::FolderTest {
 protected:
  ClaimedFolder claim(Claim how) const { return ClaimedFolder(path("作业"), how, "the job"); }
  static void refuse(const fs::path& old) { FAIL() << "there is no " << old; }
  void make() const {
    auto folder = claim(Claim::fresh);
    std::ofstream(folder.path() / "old") << "x";
    folder.publish(refuse);
  }
};

TEST_F(ClaimedFolderTest, AppearsWhole) {
  auto folder = claim(Claim::fresh);
  EXPECT_THAT(files(), ElementsAre(".作业.partial"));
  folder.publish(refuse);
  EXPECT_THAT(files(), ElementsAre("作业"));
  EXPECT_EQ(folder.path(), path("作业"));
}

TEST_F(ClaimedFolderTest, GoesUnlessItWasPublished) {
  { const ClaimedFolder folder(path("deep/down/a/"), Claim::fresh, "a"); }
  EXPECT_THAT(files(), IsEmpty());
  make();
  { const auto folder = claim(Claim::overwrite); }
  EXPECT_THAT(files(), ElementsAre("作业"));
  EXPECT_TRUE(fs::exists(path("作业/old")));
}

TEST_F(ClaimedFolderTest, ReplacesTheOldOneOnceThereIsRoom) {
  make();
  auto folder = claim(Claim::overwrite);
  folder.publish([&](const fs::path& old) { fs::rename(old, path("aside")); });
  EXPECT_THAT(files(), ElementsAre("aside", "作业"));
  EXPECT_TRUE(fs::exists(path("aside/old")));
  EXPECT_FALSE(fs::exists(path("作业/old")));
}

TEST_F(ClaimedFolderTest, BeginsWithoutWhatAKilledStartLeft) {
  fs::create_directories(path(".作业.partial/half"));
  write(".作业.partial/record.json", "{");
  const auto folder = claim(Claim::fresh);
  EXPECT_EQ(fs::directory_iterator(folder.path())->path().filename(), ".lock");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST_F(ClaimedFolderTest, IsResumedWhereItIs) {
  make();
  auto folder = claim(Claim::resume);
  EXPECT_EQ(folder.path(), path("作业"));
  folder.publish(refuse);
  EXPECT_TRUE(fs::exists(path("作业/old")));
}

TEST_F(ClaimedFolderTest, RetiredItIsGoneForOthersAtOnceAndThenForAll) {
  make();
  {
    auto folder = claim(Claim::resume);
    fs::create_directory(path(".作业.partial"));
    folder.retire();
    EXPECT_THAT(files(), ElementsAre(".作业.partial"));
    EXPECT_TRUE(fs::exists(folder.path() / "old"));
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(ClaimedFolderTest, HasOneWriter) {
  const auto in_use = ThrowsMessage<std::invalid_argument>(HasSubstr("the job is in use by process"));
  {
    auto folder = claim(Claim::fresh);
    EXPECT_THAT([&] { claim(Claim::fresh); }, in_use);
    folder.publish(refuse);
    for (const auto how : {Claim::resume, Claim::overwrite}) EXPECT_THAT([&] { claim(how); }, in_use);
  }
  EXPECT_NO_THROW(claim(Claim::resume));
}

}  // namespace
}  // namespace sartor
