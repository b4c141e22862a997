// Tables of texts to tokenized files, and back.
#include <gmock/gmock.h>

#include <cmath>
#include <set>
#include <stdexcept>

#include "storage/stored_texts.h"
#include "support/folder_test.h"
#include "text/tokenizers/tokenizer_files.h"
#include "text/write_texts.h"

namespace sartor::text {
namespace {

using datasets::Hdf5File;
using datasets::open_texts;
using datasets::Part;
using datasets::Provenance;
using datasets::Rejects;
using datasets::StoredTexts;
using datasets::texts_schema;
using datasets::texts_version;
using datasets::TokenizedTexts;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

class TokenizedFile : public testing::FolderTest {
 protected:
  TokenizedFile()
      : tokenizer_(parse_bert_tokenizer("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\n好\n坏\n##s\n", "vocab.txt", "",
                                        "")) {}

  TextConfig csv(const std::string& rows, LabelConfig label = {.column = "label"}) const {
    return {.sources = {{.table = {.path = write("a.csv", "text,label\n" + rows)}}}, .label = std::move(label)};
  }

  TextReport write_file(const TextConfig& config, TextSplitConfig split = {.test = 0, .validation = 0},
                        TextDuplicates duplicates = TextDuplicates::once, RowLength length = {16}) {
    rejects_ = Rejects();
    TextSource source(config, rejects_);
    const auto describe = [](const TextReport&) { return Provenance{"{}", "hash"}; };
    return write_texts(path("a.h5"), source, config, tokenizer_,
                       {.length = length, .duplicates = duplicates, .split = std::move(split), .describe = describe});
  }

  TokenizedTexts read_file() const { return open_texts(path("a.h5")); }

  const Tokenizer tokenizer_;
  Rejects rejects_;
};

TEST_F(TokenizedFile, HoldsIdsLabelsAndRows) {
  const auto report = write_file(csv("goods bad,x\n\"好, 坏\",y\nxyz,x\n"));
  const auto data = read_file();
  EXPECT_EQ(data.label_kind, "single_label");
  EXPECT_THAT(data.labels, ElementsAre("x", "y"));
  ASSERT_EQ(data.train.rows(), 3);
  EXPECT_THAT(data.train.ids(0), ElementsAre(2, 5, 9, 6, 3));
  EXPECT_THAT(data.train.ids(1), ElementsAre(2, 7, 1, 8, 3));
  EXPECT_THAT(data.train.ids(2), ElementsAre(2, 1, 3));
  EXPECT_THAT(data.train.lengths(), ElementsAre(5, 5, 3));
  EXPECT_THAT(data.train.second(), ElementsAre(5, 5, 3));
  EXPECT_THAT(data.train.labels(0), ElementsAre(1, 0));
  EXPECT_THAT(data.train.labels(1), ElementsAre(0, 1));
  EXPECT_THAT(data.train.sources(), ElementsAre(2, 3, 4));
  EXPECT_EQ(report.tokens, 13);
  EXPECT_EQ(report.unknown, 2);
  EXPECT_EQ(data.test.rows() + data.validation.rows(), 0);
  EXPECT_EQ(data.text, "{text}");
  EXPECT_EQ(data.pair, std::nullopt);
}

TEST_F(TokenizedFile, PairsAndTemplates) {
  auto config = csv("good,x\nbad,y\n");
  config.text = "{text} {label}";
  config.pair = "{text}s";
  write_file(config);
  const auto data = read_file();
  EXPECT_THAT(data.train.ids(0), ElementsAre(2, 5, 1, 3, 5, 9, 3));
  EXPECT_THAT(data.train.second(), ElementsAre(4, 4));
  EXPECT_EQ(data.text, "{text} {label}");
  EXPECT_EQ(data.pair, "{text}s");
}

TEST_F(TokenizedFile, LongRowsAreCut) {
  const auto report =
      write_file(csv("good good good good good,x\nbad,y\n"), {.test = 0, .validation = 0}, TextDuplicates::once, {4});
  EXPECT_THAT(read_file().train.ids(0), ElementsAre(2, 5, 5, 3));
  EXPECT_EQ(report.full, 1);
}

TEST_F(TokenizedFile, LongTextsAreDivided) {
  const auto config = csv("good 好 bad 坏 good,x\nbad good,y\n坏,y\n");
  const auto report = write_file(config, {.test = 0, .validation = 0}, TextDuplicates::once, {4, LongTexts::divide});
  const auto data = read_file();
  ASSERT_EQ(data.train.rows(), 5);
  EXPECT_THAT(data.train.ids(0), ElementsAre(2, 5, 3));
  EXPECT_THAT(data.train.ids(1), ElementsAre(2, 7, 6, 3));
  EXPECT_THAT(data.train.ids(2), ElementsAre(2, 8, 5, 3));
  EXPECT_THAT(data.train.ids(3), ElementsAre(2, 6, 5, 3));
  EXPECT_THAT(data.train.ids(4), ElementsAre(2, 8, 3));
  EXPECT_THAT(data.train.second(), ElementsAre(3, 4, 4, 4, 3));
  EXPECT_THAT(data.train.sources(), ElementsAre(2, 2, 2, 3, 4));
  EXPECT_THAT(data.train.labels(2), ElementsAre(1, 0));
  EXPECT_EQ(report.train, 5);
  EXPECT_EQ(report.full, 3);
  EXPECT_EQ(report.tokens, 18);
}

TEST_F(TokenizedFile, WhatCannotBeDividedIsRefused) {
  const auto expect = [&](const TextConfig& config, int64_t max_length, const std::string& message) {
    EXPECT_THAT(
        [&] {
          write_file(config, {}, TextDuplicates::once, {max_length, LongTexts::divide});
        },
        ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  auto config = csv("good,x\nbad,y\n");
  expect(config, 2, "max_length is 2, but the special tokens alone take 2");
  config.pair = "{text}";
  expect(config, 16, "longer is divide, but text pairs can only be cut");
}

TEST_F(TokenizedFile, LabelsByNumber) {
  const auto config = csv("good,4.5\nbad,3.5\ngoods,4\nbads,1\ngood bad,4.0001\n",
                          {.column = "label", .negative_below = 3, .positive_from = 4});
  write_file(config);
  const auto data = read_file();
  EXPECT_THAT(data.labels, ElementsAre("negative", "positive"));
  EXPECT_EQ(data.train.rows(), 4);
  EXPECT_EQ(data.train.labels(1)[1], 1);  // 4 is positive
  EXPECT_EQ(data.train.labels(2)[0], 1);
  EXPECT_THAT(rejects_.counts(), ElementsAre(std::pair("label is between the classes", 1)));
}

TEST_F(TokenizedFile, SeveralLabelsARow) {
  write_file(csv("good,b|a\nbad,\ngoods,b|b\n", {.kind = LabelKind::multi_label, .column = "label"}));
  const auto data = read_file();
  EXPECT_THAT(data.labels, ElementsAre("a", "b"));
  EXPECT_THAT(data.train.labels(0), ElementsAre(1, 1));
  EXPECT_THAT(data.train.labels(1), ElementsAre(0, 0));
  EXPECT_THAT(data.train.labels(2), ElementsAre(0, 1));
}

TEST_F(TokenizedFile, Regression) {
  write_file(csv("good,-1.5\nbad,x\n", {.kind = LabelKind::regression, .column = "label"}));
  const auto data = read_file();
  EXPECT_THAT(data.labels, ElementsAre("value"));
  EXPECT_THAT(data.train.labels(0), ElementsAre(-1.5f));
  EXPECT_THAT(rejects_.counts(), ElementsAre(std::pair("label is not a number", 1)));
}

TEST_F(TokenizedFile, LabelsMayHaveDecimalCommas) {
  auto config = csv("good,\"-1,5\"\nbad,1.5\n", {.kind = LabelKind::regression, .column = "label"});
  config.sources[0].table.decimal = datasets::DecimalMark::comma;
  write_file(config);
  EXPECT_THAT(read_file().train.labels(0), ElementsAre(-1.5f));
  EXPECT_THAT(rejects_.counts(), ElementsAre(std::pair("label is not a number", 1)));
}

TEST_F(TokenizedFile, LabelsHaveNoZeroBytes) {
  write_file(csv(std::string("good,x\nbad,y\ngood bad,a\0b\n", 26)));
  EXPECT_THAT(read_file().labels, ElementsAre("x", "y"));
  EXPECT_THAT(rejects_.counts(), ElementsAre(std::pair("label holds a zero byte", 1)));
}

TEST_F(TokenizedFile, TextsAlone) {
  auto config = csv("good,\n,x\n \t,x\n", {.kind = LabelKind::none});
  write_file(config);
  const auto data = read_file();
  EXPECT_THAT(data.labels, IsEmpty());
  EXPECT_EQ(data.train.rows(), 1);
  EXPECT_EQ(rejects_.total(), 2);
}

TEST_F(TokenizedFile, LabelsOfWholeTables) {
  TextConfig config = {.sources = {{.table = {.path = write("pos.csv", "text\ngood\n好\n")}, .label = "1"},
                                   {.table = {.path = write("neg.csv", "text\nbad\n")}, .label = "0"}}};
  write_file(config);
  const auto data = read_file();
  EXPECT_THAT(data.labels, ElementsAre("0", "1"));
  EXPECT_EQ(data.train.labels(0)[1], 1);
  EXPECT_EQ(data.train.labels(2)[0], 1);
}

TEST_F(TokenizedFile, RowsCountEveryRecordOfEveryTable) {
  auto config = csv("good,x\n\n \t,x\nbad,y,z\n\"\xff\",x\n好,\n坏,y\n");
  config.sources.push_back({.table = {.path = write("b.csv", "text,label,more\ngood\nbad,x,\n")}});
  write_file(config);
  EXPECT_THAT(read_file().train.sources(), ElementsAre(2, 8, 11));
  EXPECT_THAT(rejects_.counts(),
              UnorderedElementsAre(std::pair("line is empty", 1), std::pair("text is missing", 1),
                                   std::pair("not 2 columns", 1), std::pair("not 3 columns", 1),
                                   std::pair("text is not UTF-8", 1), std::pair("label is missing", 1)));
}

TEST_F(TokenizedFile, RepeatedTextsStandOnceAndContradictingOnesNowhere) {
  const auto report = write_file(csv("good,x\nbad,x\ngood,x\nbad,y\n哦,y\ngood,x\n"));
  EXPECT_THAT(read_file().train.sources(), ElementsAre(2, 6));
  EXPECT_EQ(report.repeated, 2);
  EXPECT_EQ(report.contradicting, 2);
  EXPECT_EQ(report.tokens, 6);  // of the rows kept
  EXPECT_EQ(report.unknown, 1);
  write_file(csv("good,x\ngood,x\nbad,y\n"), {.test = 0, .validation = 0}, TextDuplicates::keep);
  EXPECT_EQ(read_file().train.rows(), 3);
}

TEST_F(TokenizedFile, ClassesAreOrderedAsNumbersIfTheyAre) {
  write_file(csv("good,10\nbad,9\n"));
  EXPECT_THAT(read_file().labels, ElementsAre("9", "10"));
}

TEST_F(TokenizedFile, StratifiedSplitKeepsSharesAndIgnoresOrder) {
  std::vector<std::string> rows;
  for (int i = 0; i < 100; i++) rows.push_back("good " + std::to_string(i) + (i < 30 ? ",x\n" : ",y\n"));
  const auto divided = [&](TextSplitConfig split) {
    std::string text;
    for (const auto& row : rows) text += row;
    write_file(csv(text), std::move(split));
    const auto data = read_file();
    const auto texts = [&](const StoredTexts& part) {
      std::set<std::string> found;
      for (const auto row : part.sources()) found.insert(rows[row - 2]);
      return found;
    };
    int64_t of_x = 0;
    for (int64_t row = 0; row < data.test.rows(); row++) of_x += data.test.labels(row)[0] == 1;
    EXPECT_EQ(of_x, 6);
    EXPECT_EQ(data.validation.rows(), 10);
    EXPECT_EQ(data.train.rows(), 70);
    return std::pair(texts(data.test), texts(data.validation));
  };
  const auto first = divided({.test = 0.2, .validation = 0.1});
  std::ranges::reverse(rows);
  EXPECT_EQ(divided({.test = 0.2, .validation = 0.1}), first);
  EXPECT_NE(divided({.test = 0.2, .validation = 0.1, .seed = 1}), first);
}

TEST_F(TokenizedFile, SplitByRows) {
  std::string text;
  for (int i = 0; i < 10; i++) text += "good " + std::to_string(i) + (i % 2 ? ",x\n" : ",y\n");
  write_file(csv(text), {.method = TextSplit::rows, .validation = 0.25, .first_test_row = 2, .test_rows = 2});
  const auto data = read_file();
  EXPECT_THAT(data.test.sources(), ElementsAre(4, 5));
  EXPECT_EQ(data.validation.rows(), 2);
}

TEST_F(TokenizedFile, TablesThatAreForOnePart) {
  std::string text = "text,label\n";
  for (int i = 0; i < 20; i++) text += "好 " + std::to_string(i) + (i % 2 ? ",x\n" : ",y\n");
  const TextConfig config = {
      .sources = {{.table = {.path = write("train.csv", text)}},
                  {.table = {.path = write("test.csv", "text,label\nbad,x\n好 3,x\n坏,y\n")}, .part = Part::test}},
      .label = {.column = "label"}};
  write_file(config, {.test = 0, .validation = 0.1});
  const auto data = read_file();
  EXPECT_THAT(data.test.sources(), ElementsAre(23, 25));  // row 24 is for training
  EXPECT_EQ(data.validation.rows(), 2);
  EXPECT_EQ(data.train.rows(), 18);
}

TEST_F(TokenizedFile, NamesWhatIsWrong) {
  const auto expect = [&](const TextConfig& config, const std::string& message) {
    EXPECT_THAT([&] { write_file(config); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  expect(csv(",x\n \t,y\n"), "a.csv: row 2: text is missing (2)");
  expect(csv("good,x\n"), "found 1 classes, expected at least 2");
  expect(csv("good,x\nbad,y\n", {.column = "label", .names = {"x", "y", "z"}}), "the class z has no rows");
  expect(csv("good,x\n", {.column = "lable"}), "lable");
  EXPECT_THAT(
      [&] { write_file(csv("good,x\nbad,y\n"), {.method = TextSplit::rows, .first_test_row = 1, .test_rows = 2}); },
      ThrowsMessage<std::invalid_argument>("split: test rows 1 to 2, but there are 2 rows"));
  EXPECT_THAT(files(), UnorderedElementsAre("a.csv"));
}

struct Stored {
  std::vector<int64_t> offsets = {0, 2, 3}, sources = {0, 1};
  std::vector<int32_t> ids = {2, 3, 2}, second = {2, 1};
  std::vector<float> labels = {1, 0, 0, 1};
};

TEST_F(TokenizedFile, BrokenFilesAreRefused) {
  const auto open = [&](const Stored& train) {
    auto file = Hdf5File::create(path("b.h5"));
    file.set_schema(texts_schema, texts_version);
    for (const char* name : {"provenance", "data_hash", "tokenizer_hash"}) file.set_attribute(name, std::string("-"));
    file.set_attribute("label_kind", std::string("single_label"));
    file.set_attribute("max_length", int64_t{2});
    const std::vector<std::string_view> names = {"x", "y"};
    file.create_strings("/labels", 2).write(0, names);
    for (const std::string part : {"/train", "/validation", "/test"}) {
      const auto& data = part == "/train" ? train : Stored();
      file.create_list<int64_t>(part + "/offsets", std::ssize(data.offsets)).write(0, data.offsets);
      file.create_list<int64_t>(part + "/sources", std::ssize(data.sources)).write(0, data.sources);
      file.create_list<int32_t>(part + "/ids", std::ssize(data.ids)).write(0, data.ids);
      file.create_list<int32_t>(part + "/second", std::ssize(data.second)).write(0, data.second);
      file.create_matrix<float>(part + "/labels", std::ssize(data.labels) / 2, 2).write(0, data.labels);
    }
    file.close();
    return open_texts(path("b.h5"));
  };
  const auto expect = [&](const Stored& train, const std::string& message) {
    EXPECT_THAT([&] { open(train); }, ThrowsMessage<std::invalid_argument>(HasSubstr("b.h5: /train" + message)));
  };
  EXPECT_EQ(open({}).train.rows(), 2);
  expect({.offsets = {}}, "/offsets: expected to start with 0");
  expect({.offsets = {0, 2, 4}}, "/offsets: expected to start with 0 and end with the number of ids, 3");
  expect({.offsets = {0, 0, 3}}, "/offsets: row 0 has 0 ids, expected 1 to 2");
  expect({.offsets = {0, 4, 3}}, "/offsets: row 0 has 4 ids, expected 1 to 2");
  expect({.second = {3, 1}}, "/second: row 0 has 3, expected 0 to 2");
  expect({.sources = {0}}, ": offsets have 2 rows, second 2, sources 1");
  expect({.labels = {1, 0}}, "/labels is (1, 2), expected (2, 2)");
  expect({.labels = {1, 0, NAN, 1}}, "/labels has a value that is not finite");
  EXPECT_THAT(
      [&] {
        open({.ids = {2, -3, 2}}).train.ids(0);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("/ids: row 0 has a negative id")));

  write_file(csv("good,x\nbad,y\n"));
  const auto whole = read("a.h5");
  write("b.h5", whole.substr(0, whole.size() / 2));
  EXPECT_THROW(open_texts(path("b.h5")), std::invalid_argument);
}

}  // namespace
}  // namespace sartor::text
