// Tables written and read back; failures leave no file.
#include "tables/table_writer.h"

#include <parquet/file_reader.h>
#include <sys/resource.h>

#include <array>
#include <csignal>
#include <limits>
#include <numeric>

#include "datasets/tables_support.h"

namespace sartor::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

const std::vector<ColumnSpec> specs = {{"id", ColumnType::int64},
                                       {"得分, \"x\"", ColumnType::float32},
                                       {"wide", ColumnType::float64},
                                       {"title", ColumnType::text}};

constexpr auto infinity = std::numeric_limits<double>::infinity();
const std::vector<int64_t> ids = {1, std::numeric_limits<int64_t>::min(), 3, 4};
const std::vector<float> scores = {0.1f, -2, std::numeric_limits<float>::quiet_NaN(), 1e-30f};
const std::vector<double> wides = {0.1, 1e300, -infinity, 3};
const std::vector<std::string_view> titles = {"霸王别姬", "a \"quoted\", one", "two\nlines\t\r\x01\\", ""};

class TableWriting : public FolderTest {
 protected:
  void write_all(const std::string& name) {
    TableWriter writer(path(name), specs);
    writer.append(
        {std::span(ids).first(1), std::span(scores).first(1), std::span(wides).first(1), std::span(titles).first(1)});
    writer.append(
        {std::span(ids).first(0), std::span(scores).first(0), std::span(wides).first(0), std::span(titles).first(0)});
    writer.append({std::span(ids).subspan(1), std::span(scores).subspan(1), std::span(wides).subspan(1),
                   std::span(titles).subspan(1)});
    EXPECT_EQ(writer.rows(), 4);
    writer.finish();
    EXPECT_THAT(files(), ElementsAre(name));
  }
  Rejects rejects_;
};

TEST_F(TableWriting, Csv) {
  write_all("t.csv");
  EXPECT_EQ(read(path("t.csv")),
            "id,\"得分, \"\"x\"\"\",wide,title\n"
            "1,0.1,0.1,霸王别姬\n"
            "-9223372036854775808,-2,1e+300,\"a \"\"quoted\"\", one\"\n"
            "3,,,\"two\nlines\t\r\x01\\\"\n"
            "4,1e-30,3,\"\"\n");
}

TEST_F(TableWriting, Tsv) {
  write_all("t.tsv");
  EXPECT_THAT(read(path("t.tsv")), HasSubstr("1\t0.1\t0.1\t霸王别姬\n"));
}

TEST_F(TableWriting, Jsonl) {
  write_all("t.jsonl");
  EXPECT_EQ(read(path("t.jsonl")),
            R"({"id": 1, "得分, \"x\"": 0.1, "wide": 0.1, "title": "霸王别姬"})"
            "\n"
            R"({"id": -9223372036854775808, "得分, \"x\"": -2, "wide": 1e+300, "title": "a \"quoted\", one"})"
            "\n"
            R"({"id": 3, "得分, \"x\"": null, "wide": null, "title": "two\u000alines\u0009\u000d\u0001\\"})"
            "\n"
            R"({"id": 4, "得分, \"x\"": 1e-30, "wide": 3, "title": ""})"
            "\n");
}

TEST_F(TableWriting, EveryFormReadsBack) {
  for (const std::string name : {"t.csv", "t.tsv", "t.jsonl", "t.parquet"}) {
    write_all(name);
    const bool json = name == "t.jsonl", text = name == "t.csv" || name == "t.tsv";
    const std::string missing = text ? "" : "null";
    const Rows rows =
        read_rows({.path = path(name)}, rejects_, {{"id", json}, {"得分, \"x\"", false}, {"wide", false}, {"title"}});
    const int first = text ? 2 : 1;  // a header is record 1
    ASSERT_EQ(rows.size(), 4u) << name;
    EXPECT_EQ(rows[0], (std::vector<std::string>{std::to_string(first), "1", rows[0][2], "0.1", "霸王别姬"})) << name;
    EXPECT_EQ(std::stof(rows[0][2]), 0.1f) << name;
    EXPECT_EQ(rows[1][1], "-9223372036854775808") << name;
    EXPECT_EQ(std::stod(rows[1][3]), 1e300) << name;
    EXPECT_EQ(rows[2],
              (std::vector<std::string>{std::to_string(first + 2), "3", missing, missing, "two\nlines\t\r\x01\\"}))
        << name;
    EXPECT_EQ(std::stof(rows[3][2]), 1e-30f) << name;
    EXPECT_EQ(rows[3][4], "") << name;
    std::filesystem::remove(path(name));
  }
}

TEST_F(TableWriting, ManyRowsInParts) {
  std::vector<int64_t> numbers(10'007);
  for (const std::string name : {"t.csv", "t.parquet"}) {
    TableWriter writer(path(name), {{"n", ColumnType::int64}});
    for (int part = 0; part < 130; part++) {
      for (size_t i = 0; i < numbers.size(); i++) numbers[i] = part * std::ssize(numbers) + static_cast<int64_t>(i);
      writer.append({numbers});
    }
    writer.finish();
    TableReader reader({.path = path(name)}, rejects_);
    reader.select({{"n"}});
    int64_t next = 0;
    for (TableBatch batch; reader.next(batch);) {
      for (int64_t row = 0; row < batch.columns->num_rows(); row++, next++) {
        ASSERT_EQ(batch.columns->column(0)->GetScalar(row).ValueOrDie()->ToString(), std::to_string(next)) << name;
      }
    }
    EXPECT_EQ(next, 130 * std::ssize(numbers));
  }
}

TEST_F(TableWriting, LongTextsDoNotWaitInMemory) {
  const std::string text(1 << 20, 'x');
  const std::vector<std::string_view> rows(30, text);
  TableWriter writer(path("t.parquet"), {{"text", ColumnType::text}});
  for (int part = 0; part < 5; part++) writer.append({rows});
  writer.finish();
  const auto file = parquet::ParquetFileReader::OpenFile(path("t.parquet"));
  EXPECT_EQ(file->metadata()->num_row_groups(), 3);  // 60, 60 and 30 MiB
  EXPECT_EQ(file->metadata()->num_rows(), 150);
  EXPECT_EQ(read_rows({.path = path("t.parquet")}, rejects_).size(), 150);
}

TEST_F(TableWriting, TextsOfOneAppendDoNotWaitTogetherEither) {
  TableWriter writer(path("big.parquet"), {{"text", ColumnType::text}, {"n", ColumnType::int64}});
  const std::string mebibyte(1 << 20, 'x');
  const std::vector<std::string_view> texts(150, mebibyte);
  std::vector<int64_t> numbers(texts.size());
  std::iota(numbers.begin(), numbers.end(), 0);
  writer.append({texts, numbers});
  writer.finish();
  EXPECT_EQ(writer.rows(), 150);
  const auto file = parquet::ParquetFileReader::OpenFile(path("big.parquet"));
  EXPECT_EQ(file->metadata()->num_rows(), 150);
  EXPECT_EQ(file->metadata()->num_row_groups(), 4);  // 37 or 38 MiB each
}

TEST_F(TableWriting, TableOfNoRows) {
  for (const std::string name : {"t.csv", "t.jsonl", "t.parquet"}) {
    TableWriter(path(name), specs).finish();
    EXPECT_THAT(read_rows({.path = path(name)}, rejects_), IsEmpty());
  }
}

TEST_F(TableWriting, NothingRemainsWithoutFinish) {
  for (const std::string name : {"t.csv", "t.jsonl", "t.parquet"}) {
    TableWriter writer(path(name), {{"n", ColumnType::int64}});
    writer.append({ids});
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(TableWriting, ExistingFileOnlyIfAllowed) {
  write("t.csv", "precious");
  EXPECT_THAT([&] { TableWriter(path("t.csv"), specs); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("t.csv exists already")));
  { TableWriter unfinished(path("t.csv"), specs, /*overwrite=*/true); }
  EXPECT_EQ(read(path("t.csv")), "precious");
  TableWriter writer(path("t.csv"), {{"n", ColumnType::int64}}, /*overwrite=*/true);
  writer.finish();
  EXPECT_EQ(read(path("t.csv")), "n\n");
}

TEST_F(TableWriting, MistakesAreNamed) {
  const auto refused = [&](const std::vector<ColumnValues>& values, const char* message) {
    TableWriter writer(path("t.csv"), {{"n", ColumnType::int64}, {"s", ColumnType::text}});
    EXPECT_THAT([&] { writer.append(values); }, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  };
  const std::vector<std::string_view> broken = {"a", "b", "\xe4\xb8", "d"};
  refused({ids}, "t.csv: 1 columns to append, the table has 2");
  refused({ids, scores}, "t.csv: column 's' has another type");
  refused({ids, std::span(titles).first(3)}, "t.csv: column 's' has 3 rows, the first one 4");
  refused({ids, broken}, "t.csv: row 3, column 's' is not UTF-8");
  EXPECT_THAT([&] { TableWriter(path("t.xlsx"), specs); },
              ThrowsMessage<std::invalid_argument>(
                  HasSubstr("t.xlsx: expected an output table with the extension .csv, .tsv, .jsonl or .parquet")));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(TableWriting, FolderThatIsNotThere) {
  for (const char* name : {"none/t.csv", "none/t.parquet"}) {
    EXPECT_THAT([&] { TableWriter(path(name), specs); },
                ThrowsMessage<std::runtime_error>(AllOf(HasSubstr(name), HasSubstr("No such file"))));
  }
}

// A file size limit makes writes fail like a full disk.
TEST_F(TableWriting, FullDiskIsReportedAndLeavesNothing) {
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit small{1 << 16, old.rlim_max};
  const std::vector<int64_t> numbers(300'000, 1234567);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  for (const char* name : {"t.csv", "t.jsonl", "t.parquet"}) {
    const auto writing = [&] {
      TableWriter writer(path(name), {{"n", ColumnType::int64}, {"m", ColumnType::int64}});
      std::vector<int64_t> noise(numbers.size());
      for (size_t i = 0; i < noise.size(); i++) noise[i] = static_cast<int64_t>(i * 0x9e3779b97f4a7c15);
      writer.append({numbers, noise});
      writer.finish();
    };
    EXPECT_THAT(writing, ThrowsMessage<std::runtime_error>(AllOf(HasSubstr(name), HasSubstr("File too large"))));
  }
  const auto rejecting = [&] {
    Rejects rejects(path("rejects.tsv"));
    for (int row = 0; row < 10'000; row++) rejects.add("a.csv", row, "value is missing", "");
    rejects.finish();
  };
  EXPECT_THAT(rejecting,
              ThrowsMessage<std::runtime_error>(AllOf(HasSubstr("rejects.tsv"), HasSubstr("File too large"))));
  EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, before);
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(TableWriting, TextFilesAreAppendedByTheirBytes) {
  int64_t calls = 0;
  for (const std::string ending : {".csv", ".TSV", ".jsonl"}) {
    SCOPED_TRACE(ending);
    write_all("1" + ending);
    TableWriter twice(path("2" + ending), specs);
    ASSERT_TRUE(twice.can_append_file(path("1" + ending)));
    for (int i = 0; i < 2; i++) twice.append_file(path("1" + ending), [&] { calls++; });
    EXPECT_EQ(twice.rows(), 8);
    twice.append({std::span(ids), std::span(scores), std::span(wides), std::span(titles)});
    twice.finish();
    TableWriter expected(path("3" + ending), specs);
    for (int i = 0; i < 3; i++)
      expected.append({std::span(ids), std::span(scores), std::span(wides), std::span(titles)});
    expected.finish();
    EXPECT_EQ(read("2" + ending), read("3" + ending));
    for (const auto* number : {"1", "2", "3"}) std::filesystem::remove(path(number + ending));
  }
  EXPECT_EQ(calls, 6);
  for (const auto& [output, part] : {std::pair("a.csv", "b.tsv"), {"a.csv", "b.parquet"}, {"a.parquet", "b.parquet"}}) {
    EXPECT_FALSE(TableWriter(path(output), specs).can_append_file(path(part)));
  }
}

TEST_F(TableWriting, LinesOfAppendedFilesAreNotRows) {
  const std::vector<ColumnSpec> columns = {{"two\nlines", ColumnType::text}};
  std::string text(3'000'000, '"');  // pieces end between the two quotes of one
  text[1'500'000] = '\n';
  const std::vector<std::string_view> rows = {"\n\n", text, "", "\"\n\"", "好\r\n"};
  TableWriter part(path("1.csv"), columns);
  part.append({std::span(rows)});
  part.finish();
  TableWriter whole(path("2.csv"), columns);
  whole.append_file(path("1.csv"), [] {});
  EXPECT_EQ(whole.rows(), 5);
  whole.finish();
  EXPECT_TRUE(read("2.csv") == read("1.csv"));
}

TEST_F(TableWriting, FilesWithOtherColumnsAreNotAppended) {
  write("1.csv", "row,label\n1,x\n");
  TableWriter whole(path("2.csv"), specs);
  EXPECT_THAT(
      [&] { whole.append_file(path("1.csv"), [] {}); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("1.csv is broken: it does not begin with the columns id,")));
  EXPECT_THROW(whole.append_file(path("none.csv"), [] {}), std::system_error);
}

}  // namespace
}  // namespace sartor::datasets
