// TextDivision without a tokenizer. The rules of the split are tested in text_write_test.cpp.
#include "text/text_division.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "support/folder_test.h"

namespace sartor::text {
namespace {

using datasets::Part;
using datasets::Rejects;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class Division : public testing::FolderTest {
 protected:
  TextConfig csv(const std::string& rows) const {
    return {.sources = {{.table = {.path = write("a.csv", "text,label\n" + rows)}}}, .label = {.column = "label"}};
  }

  std::vector<std::string> training(const TextDivision& division, const TextConfig& config) {
    Rejects rejects;
    TextSource again(config, rejects);
    std::vector<std::string> texts;
    division.visit_training(again, [&](std::string_view text) { texts.emplace_back(text); });
    return texts;
  }

  TextDivision divided(const TextConfig& config, const TextSplitConfig& split,
                       TextDuplicates duplicates = TextDuplicates::once) {
    Rejects rejects;
    TextSource source(config, rejects);
    TextDivision division(config, split);
    for (TextBatch batch; source.next(batch);) division.add(batch);
    counts_ = division.divide(duplicates, rejects);
    return division;
  }

  RowCounts counts_;
};

TEST_F(Division, VisitsTrainingRowsAlone) {
  const auto config = csv("很好😀,x\n,x\n坏,y\n很好😀,x\ngood,x\nbroken \xff,x\nbad,y\n坏,x\n");
  const TextSplitConfig split = {
      .method = TextSplit::rows, .validation = 0, .first_test_row = 1, .test_rows = 1};  // among the rows kept: good
  EXPECT_THAT(training(divided(config, split), config), ElementsAre("很好😀", "bad"));
  EXPECT_EQ(counts_.read, 6);
  EXPECT_EQ(counts_.repeated, 1);
  EXPECT_EQ(counts_.contradicting, 2);
  EXPECT_EQ(counts_.test, 1);
}

TEST_F(Division, BothTextsOfAPairAreVisited) {
  auto config = csv("好,x\nbad,y\n");
  config.pair = "{text} {label}";
  const TextSplitConfig split = {.test = 0, .validation = 0};
  EXPECT_THAT(training(divided(config, split), config), ElementsAre("好", "好 x", "bad", "bad y"));
}

TEST_F(Division, RowsOfTablesForOnePartGoThere) {
  auto config = csv("good,x\nbad,y\n");
  config.sources.push_back({.table = {.path = write("b.csv", "text,label\n好,x\n坏,y\n")}, .part = Part::validation});
  const TextSplitConfig split = {.test = 0, .validation = 0};
  EXPECT_THAT(training(divided(config, split), config), ElementsAre("good", "bad"));
  EXPECT_EQ(counts_.validation, 2);
}

TEST_F(Division, NoticesTablesThatChanged) {
  const auto config = csv("good,x\nbad,y\n");
  const TextSplitConfig split = {.test = 0, .validation = 0};
  const auto division = divided(config, split);
  for (const char* rows : {"good,x\n", "good,x\nbad,y\n好,y\n"}) {
    const auto changed = csv(rows);
    EXPECT_THAT([&] { training(division, changed); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("the tables had 2 rows on the first read, ")));
  }
}

}  // namespace
}  // namespace sartor::text
