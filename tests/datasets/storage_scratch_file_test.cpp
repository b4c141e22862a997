// Temporary files without a name.
#include "storage/scratch_file.h"

#include <gmock/gmock.h>

#include <system_error>
#include <vector>

#include "support/folder_test.h"

namespace sartor::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

using ScratchFiles = testing::FolderTest;

TEST_F(ScratchFiles, GiveBackWhatWasAppended) {
  ScratchFile file(folder_);
  EXPECT_THAT(files(), IsEmpty());
  const std::vector<int32_t> first = {1, -2, 3};
  const std::vector<double> second = {0.5};
  EXPECT_EQ(file.append(std::span(first)), 0);
  EXPECT_EQ(file.append(std::span(second)), 12);
  std::vector<double> real(1);
  file.read(12, std::span(real));
  EXPECT_THAT(real, ElementsAre(0.5));
  std::vector<int32_t> whole(2);
  file.read(4, std::span(whole));
  EXPECT_THAT(whole, ElementsAre(-2, 3));

  EXPECT_EQ(file.append(std::span(first)), 20);  // appends at the end, even after a read
  EXPECT_EQ(file.append(std::span<const int32_t>()), 32);
  file.read(28, std::span(whole).first(1));
  EXPECT_EQ(whole[0], 3);
  EXPECT_THROW(file.read(28, std::span(whole)), std::system_error);
}

TEST_F(ScratchFiles, NameTheFolderWhereTheyCannotBe) {
  EXPECT_THAT([&] { ScratchFile file(folder_ / "没有"); },
              ThrowsMessage<std::system_error>(HasSubstr("cannot create a temporary file in " + path("没有"))));
}

}  // namespace
}  // namespace sartor::datasets
