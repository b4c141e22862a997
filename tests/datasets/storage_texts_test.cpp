// Rows of the tokenized file and the number of reads from the file.
#include "storage/stored_texts.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "support/folder_test.h"
#include "support/paths.h"

namespace {
int64_t reads = 0;  // calls of H5Dread
}

// Replaces HDF5's function of this name and counts the calls.
extern "C" herr_t H5Dread(hid_t dataset, hid_t type, hid_t memory, hid_t file, hid_t form, void* values) {
  static const auto real = reinterpret_cast<decltype(&H5Dread)>(dlsym(RTLD_NEXT, "H5Dread"));
  reads++;
  return real(dataset, type, memory, file, form, values);
}

namespace sartor::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class StoredRows : public testing::FolderTest {
 protected:
  // Row r has the 1 + r % 7 ids r, r + 1, ...; row `negative` begins with -1.
  StoredTexts make(int64_t rows, int64_t negative = -1) {
    std::vector<int64_t> offsets = {0}, sources(rows);
    std::vector<int32_t> ids, second;
    for (int64_t row = 0; row < rows; row++) {
      expected_.emplace_back(1 + row % 7);
      std::iota(expected_[row].begin(), expected_[row].end(), row);
      if (row == negative) expected_[row][0] = -1;
      ids.insert(ids.end(), expected_[row].begin(), expected_[row].end());
      offsets.push_back(std::ssize(ids));
      second.push_back(static_cast<int32_t>(expected_[row].size()));
    }
    auto file = Hdf5File::create(path("a.h5"));
    file.create_list<int64_t>("/train/offsets", rows + 1).write(0, offsets);
    file.create_list<int64_t>("/train/sources", rows).write(0, sources);
    file.create_list<int32_t>("/train/second", rows).write(0, second);
    file.create_list<int32_t>("/train/ids", std::ssize(ids)).write(0, ids);
    file.close();
    file_.emplace(Hdf5File::open(path("a.h5")));
    return {*file_, "/train", 0, 7};
  }

  // Reads rows, compares them with the written ones and returns the number of reads from the file.
  int64_t reads_of(const StoredTexts& texts, const std::vector<int64_t>& rows) const {
    const int64_t before = reads;
    const auto found = texts.ids(rows);
    const int64_t made = reads - before;
    EXPECT_EQ(found.size(), rows.size());
    for (size_t i = 0; i < rows.size(); i++) EXPECT_THAT(found[i], ElementsAreArray(expected_[rows[i]])) << rows[i];
    return made;
  }

  std::optional<Hdf5File> file_;
  std::vector<std::vector<int32_t>> expected_;
};

TEST_F(StoredRows, ABatchIsReadOnceHoweverItsRowsLie) {
  const auto texts = make(1000);
  EXPECT_EQ(reads_of(texts, {}), 0);
  EXPECT_EQ(reads_of(texts, {999}), 1);
  EXPECT_EQ(reads_of(texts, {3, 4, 5, 6}), 1);
  EXPECT_EQ(reads_of(texts, {6, 4, 5, 3, 4}), 1);  // in any order, one of them twice
  EXPECT_EQ(reads_of(texts, {0, 999, 10, 12, 11, 500, 10}), 1);
  std::vector<int64_t> batch;
  for (int64_t i = 0; i < 32; i++) batch.push_back(i * 367 % 1000);  // scattered, as in a training batch
  EXPECT_EQ(reads_of(texts, batch), 1);                              // not 32
}

TEST_F(StoredRows, ManyRunsAreReadSomeAtATime) {
  const auto texts = make(1000);
  std::vector<int64_t> all(1000), even;
  std::iota(all.begin(), all.end(), 0);
  for (int64_t row = 0; row < 1000; row += 2) even.push_back(row);
  std::ranges::reverse(all);
  EXPECT_EQ(reads_of(texts, all), 1);
  EXPECT_EQ(reads_of(texts, even), 4);  // 500 runs, 128 in each read
}

TEST_F(StoredRows, NegativeIdsAreFoundInTheirRow) {
  const auto texts = make(20, 13);
  const auto ids = [&](std::vector<int64_t> rows) { return [&texts, rows] { texts.ids(rows); }; };
  EXPECT_THAT(ids({14, 13, 12}), ThrowsMessage<std::invalid_argument>(HasSubstr("/train/ids: row 13 has a negative")));
  EXPECT_THAT([&] { texts.ids(13); }, ThrowsMessage<std::invalid_argument>(HasSubstr("row 13 has a negative")));
  EXPECT_NO_THROW(ids({12, 14})());
}

TEST(StoredTexts, FilesOfEarlierVersionsOpen) {
  const auto data = open_texts(testing::source_path("tests/golden/earlier/texts.h5"));
  EXPECT_EQ(data.label_kind, "single_label");
  EXPECT_THAT(data.labels, ElementsAre("坏", "好"));
  EXPECT_EQ(data.max_length, 20);
  EXPECT_EQ(data.text, "{text}");
  EXPECT_EQ(data.tokenizer_hash, "ea720d07afb0d7e43a64e3f5b0cd089818c4a36027774e5ce130028fd9028bde");
  EXPECT_EQ(data.train.rows(), 14);
  EXPECT_THAT(data.train.ids(1), ElementsAre(2, 21, 9, 17, 19, 11, 14, 23, 3));
  const std::vector<int64_t> rows = {3, 0};
  EXPECT_THAT(data.validation.ids(rows),
              ElementsAre(ElementsAre(2, 21, 9, 28, 10, 20, 8, 3), ElementsAre(2, 21, 9, 28, 11, 14, 23, 3)));
}

// A file for generators whose rows have 3 and 2 tokens.
struct GeneratorRows {
  int64_t version = generator_texts_version;
  std::string content = "prompt_completion";
  std::vector<int32_t> second = {1, 0}, bytes = {4, 0};
  std::vector<float> weights = {0.5, 0};
};

class StoredGeneratorRows : public testing::FolderTest {
 protected:
  TokenizedTexts open(const GeneratorRows& rows) const {
    std::filesystem::remove(path("g.h5"));  // which may still be open
    auto file = Hdf5File::create(path("g.h5"));
    file.set_schema(texts_schema, rows.version);
    for (const char* name : {"provenance", "data_hash", "tokenizer_hash", "text"})
      file.set_attribute(name, std::string("-"));
    file.set_attribute("label_kind", std::string("none"));
    file.set_attribute("max_length", int64_t{3});
    file.set_attribute("content", rows.content);
    file.set_attribute("chat", std::string("chatml"));
    file.set_attribute("system", std::string("你好"));
    file.set_attribute("end", int64_t{9});
    const std::vector<int64_t> offsets = {0, 3, 5}, sources = {1, 2};
    const std::vector<int32_t> ids = {1, 2, 3, 4, 5};
    for (const std::string part : {"/train", "/validation", "/test"}) {
      file.create_list<int64_t>(part + "/offsets", 3).write(0, offsets);
      file.create_list<int64_t>(part + "/sources", 2).write(0, sources);
      file.create_list<int32_t>(part + "/ids", 5).write(0, ids);
      file.create_list<int32_t>(part + "/second", std::ssize(rows.second)).write(0, rows.second);
      file.create_list<int32_t>(part + "/bytes", std::ssize(rows.bytes)).write(0, rows.bytes);
      if (rows.weights.empty()) continue;
      file.create_list<float>(part + "/weights", std::ssize(rows.weights)).write(0, rows.weights);
    }
    file.close();
    return open_texts(path("g.h5"));
  }
  void expect_refused(const GeneratorRows& rows, const std::string& message) const {
    EXPECT_THAT([&] { open(rows); }, ThrowsMessage<std::invalid_argument>(HasSubstr("g.h5: " + message)));
  }
};

TEST_F(StoredGeneratorRows, HaveWeightsAndBytes) {
  const auto data = open({});
  EXPECT_EQ(data.content, Content::prompt_completion);
  EXPECT_EQ(data.chat, "chatml");
  EXPECT_EQ(data.system, "你好");
  EXPECT_EQ(data.end, 9);
  EXPECT_EQ(data.rejected, std::nullopt);
  EXPECT_THAT(data.test.weights(), ElementsAre(0.5, 0));
  EXPECT_THAT(data.test.bytes(), ElementsAre(4, 0));
  EXPECT_THAT(data.test.second(), ElementsAre(1, 0));
  EXPECT_TRUE(open({.weights = {}}).train.weights().empty());
}

TEST_F(StoredGeneratorRows, InvalidOnesAreRefused) {
  expect_refused({.content = "novel"},
                 "content is novel, expected one of classification, language_modeling, prompt_completion, preference");
  expect_refused({.second = {3, 0}}, "/train/second: row 0 has 3 prompt tokens, expected 0 to 2");
  expect_refused({.content = "language_modeling"}, "/train/second: row 0 has 1 prompt tokens, expected 0 to 0");
  expect_refused({.content = "preference"}, "/train/second: the texts of pair 0 have prompts of 1 and 0 tokens");
  expect_refused({.bytes = {1}}, "/train/bytes has 1 rows, expected 2");
  expect_refused({.bytes = {1, -2}}, "/train/bytes: row 1 has -2, expected at least 0");
  expect_refused({.weights = {1}}, "/train/weights has 1 rows, expected 2");
  for (const float weight : {-1.0F, INFINITY, NAN}) {
    expect_refused({.weights = {1, weight}},
                   fmt::format("/train/weights: row 1 has {}, expected a finite number of at least 0", weight));
  }
  expect_refused({.version = 4}, "sartor.texts has schema_version 4, this program reads versions 2 to 3");
  expect_refused({.version = 1}, "sartor.texts has schema_version 1, this program reads versions 2 to 3");
}

TEST_F(StoredGeneratorRows, FilesOfEarlierVersionsAreForClassification) {
  const auto data = open_texts(testing::source_path("tests/golden/earlier/texts.h5"));
  EXPECT_EQ(data.content, Content::classification);
  EXPECT_EQ(data.chat, "none");
  EXPECT_TRUE(data.train.bytes().empty());
  EXPECT_TRUE(data.train.weights().empty());
}

TEST_F(StoredRows, RunsOfMatricesAreReadWhole) {
  auto made = Hdf5File::create(path("m.h5"));
  std::vector<float> values(40);
  std::iota(values.begin(), values.end(), 0.0F);
  made.create_matrix<float>("/m", 10, 4).write(0, values);
  made.close();
  const auto file = Hdf5File::open(path("m.h5"));
  const auto matrix = file.matrix<float>("/m");
  const std::vector<RowRun> runs = {{1, 1}, {4, 2}};
  std::vector<float> found(12);
  matrix.read(runs, found);
  EXPECT_THAT(found, ElementsAre(4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
  const std::vector<RowRun> beyond = {{1, 1}, {9, 2}};
  EXPECT_THAT([&] { matrix.read(beyond, found); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("/m: rows 9 to 10 requested, there are 10")));
}

}  // namespace
}  // namespace sartor::datasets
