// All formats and their special cases, read back as text.
#include "tables/table_reader.h"

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_dict.h>
#include <arrow/array/builder_nested.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/table.h>
#include <arrow/util/thread_pool.h>
#include <parquet/arrow/writer.h>

#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <future>

#include "datasets/tables_support.h"
#include "tables/table_files.h"

namespace sartor::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::ThrowsMessage;

struct Case {
  std::string name, file, bytes;
  TableConfig config;
  Rows expected;  // record number, then the columns
  std::vector<std::string> columns = {};
  std::map<std::string, int64_t, std::less<>> rejected = {};

  friend void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }
};

class TableForms : public FolderTest, public ::testing::WithParamInterface<Case> {};

TEST_P(TableForms, ReadAsText) {
  const Case& test = GetParam();
  TableConfig config = test.config;
  config.path = write(test.file, test.bytes);
  config.check();
  Rejects rejects;
  EXPECT_EQ(read_rows(config, rejects), test.expected);
  EXPECT_EQ(rejects.counts(), test.rejected);
  if (test.columns.empty()) return;
  EXPECT_EQ(TableReader(config, rejects).columns(), test.columns);
}

using enum TableFormat;
constexpr auto movielens = TablePreset::movielens, recbole = TablePreset::recbole;

INSTANTIATE_TEST_SUITE_P(
    Delimited, TableForms,
    ::testing::Values(
        Case{"csv", "a.csv", "a,b\n1,x\n2,y\n", {}, {{"2", "1", "x"}, {"3", "2", "y"}}, {"a", "b"}},
        Case{"crlf",
             "a.csv",
             "a,b\r\n1,x\r\n\r\n2,y\r\n",
             {},
             {{"2", "1", "x"}, {"4", "2", "y"}},
             {},
             {{"line is empty", 1}}},
        Case{"no_final_break", "a.csv", "a,b\n1,x", {}, {{"2", "1", "x"}}},
        Case{"byte_order_mark", "a.csv", "\xef\xbb\xbf\"a\",b\n1,x\n", {}, {{"2", "1", "x"}}, {"a", "b"}},
        Case{"header_only", "a.csv", "a,b\n", {}, {}, {"a", "b"}},
        Case{"header_without_break", "a.csv", "a,b", {}, {}, {"a", "b"}},
        Case{"blank_lines",
             "a.csv",
             "a,b\n\n1,x\n\n2,y\n\n\n",
             {},
             {{"3", "1", "x"}, {"5", "2", "y"}},
             {},
             {{"line is empty", 4}}},
        Case{"blank_lines_before_the_header", "a.csv", "\n\r\na,b\n1,x\n", {}, {{"4", "1", "x"}}, {"a", "b"}},
        Case{"ending_in_capitals", "A.CSV", "a,b\n1,x\n", {}, {{"2", "1", "x"}}},
        Case{"endings_in_capitals", "A.TSV.GZ", compressed("a\tb\n1\tx\n"), {}, {{"2", "1", "x"}}},
        Case{"quoted",
             "a.csv",
             "id,title\n1,\"Good, the \"\"Bad\"\"\"\n2,\"two\nlines\"\n3,6\" nails\n",
             {},
             {{"2", "1", "Good, the \"Bad\""}, {"3", "2", "two\nlines"}, {"4", "3", "6\" nails"}}},
        Case{"chinese",
             "评分.csv",
             "用户,电影\n张三,\"霸王别姬,上\"\n",
             {},
             {{"2", "张三", "霸王别姬,上"}},
             {"用户", "电影"}},
        Case{"empty_values", "a.csv", "a,b\n,\n\"\",x\n", {}, {{"2", "", ""}, {"3", "", "x"}}},
        Case{"wrong_counts",
             "a.csv",
             "a,b\n1\n2,x\n3,y,z\n4,w\n",
             {},
             {{"3", "2", "x"}, {"5", "4", "w"}},
             {},
             {{"not 2 columns", 2}}},
        Case{"broken_utf8",
             "a.csv",
             "a,b\n1,x\n2,\xe9t\xe9\n\xff,\xfe\n4,\xe4\xb8\xad\n5,\xe4\xb8\n\xad,5\n",
             {},
             {{"2", "1", "x"}, {"5", "4", "中"}},
             {},
             {{"a is not UTF-8", 2}, {"b is not UTF-8", 2}}},
        Case{"one_column", "ids.csv", "id\n1\n\n3\n", {}, {{"2", "1"}, {"4", "3"}}, {}, {{"line is empty", 1}}},
        Case{"separator", "a.csv", "a;b\n1;x,y\n", {.separator = ";"}, {{"2", "1", "x,y"}}},
        Case{"long_separator", "a.txt", "a<>b\n1<>\"x\n", {.format = csv, .separator = "<>"}, {{"2", "1", "\"x"}}},
        Case{"other_quote", "a.csv", "a,b\n1,'x,y'\n", {.quote = "'"}, {{"2", "1", "x,y"}}},
        Case{"names_given", "a.tsv", "1\tx\n", {.column_names = {"a", "b"}}, {{"1", "1", "x"}}, {"a", "b"}},
        Case{"names_replace_header",
             "a.tsv",
             "1\tx\n2\ty\n",
             {.header = false},
             {{"1", "1", "x"}, {"2", "2", "y"}},
             {"f0", "f1"}},
        Case{"empty_without_header", "a.tsv", "", {.column_names = {"a", "b"}}, {}, {"a", "b"}},
        Case{"latin1",
             "a.csv",
             "id,pr\xe9nom\n1,Am\xe9lie\n",
             {.encoding = TextEncoding::latin1},
             {{"2", "1", "Amélie"}},
             {"id", "prénom"}},
        Case{"gzip", "a.csv.gz", compressed("a,b\n1,x\n"), {}, {{"2", "1", "x"}}},
        Case{"gzip_members",
             "a.csv.gz",
             compressed("a,b\n1,") + compressed("x\n2,y\n"),
             {},
             {{"2", "1", "x"}, {"3", "2", "y"}}},
        Case{"bzip2", "a.tsv.bz2", compressed("a\n1\n", arrow::Compression::BZ2), {}, {{"2", "1"}}},
        Case{"zstd", "a.jsonl.zst", compressed("{\"a\": 1}\n", arrow::Compression::ZSTD), {}, {{"1", "1"}}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Presets, TableForms,
    ::testing::Values(Case{"u_data",
                           "u.data",
                           "196\t242\t3\t881250949\n",
                           {.preset = movielens},
                           {{"1", "196", "242", "3", "881250949"}},
                           {"user_id", "item_id", "rating", "timestamp"}},
                      Case{"ratings_dat",
                           "ratings.dat",
                           "1::1193::5::978300760\n1::661::3.5::978302109",
                           {.preset = movielens},
                           {{"1", "1", "1193", "5", "978300760"}, {"2", "1", "661", "3.5", "978302109"}}},
                      Case{"movies_dat",
                           "movies.dat",
                           "1::Toy Story (1995)::Animation|Comedy\n2::Mis\xe9rables: \"Les\"::Drama\n",
                           {.preset = movielens},
                           {{"1", "1", "Toy Story (1995)", "Animation|Comedy"},
                            {"2", "2", "Misérables: \"Les\"", "Drama"}}},
                      Case{"ratings_csv",
                           "ratings.csv.gz",
                           compressed("userId,movieId,rating,timestamp\r\n1,2,3.5,1112486027\r\n"),
                           {.preset = movielens},
                           {{"2", "1", "2", "3.5", "1112486027"}}},
                      Case{"recbole_inter",
                           "ml-100k.inter",
                           "user_id:token\titem_id:token\trating:float\n196\t242\t3\n",
                           {.preset = recbole},
                           {{"2", "196", "242", "3"}},
                           {"user_id", "item_id", "rating"}},
                      Case{"header_overrides_preset",
                           "u.data",
                           "u\ti\n1\t2\n",
                           {.preset = movielens, .header = true},
                           {{"2", "1", "2"}},
                           {"u", "i"}},
                      Case{"names_override_preset",
                           "x.data",
                           "1\t2\n",
                           {.preset = movielens, .column_names = {"u", "i"}},
                           {{"1", "1", "2"}}},
                      Case{"netflix",
                           "mv_1.txt",
                           "1:\n1488844,3,2005-09-06\r\n\n822109,5,2005-05-13\n7:\n30878,4,2005-12-26\n885013,4\n",
                           {.preset = TablePreset::netflix},
                           {{"2", "1488844", "3", "2005-09-06", "1"},
                            {"4", "822109", "5", "2005-05-13", "1"},
                            {"6", "30878", "4", "2005-12-26", "7"}},
                           {"customer", "rating", "date", "movie"},
                           {{"line is empty", 1}, {"not 4 columns", 1}}},
                      Case{"netflix_without_movie",
                           "a.txt",
                           "1,3,2005-09-06\n",
                           {.format = netflix},
                           {{"1", "1", "3", "2005-09-06", ""}}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Json, TableForms,
    ::testing::Values(
        Case{"texts_and_numbers",
             "a.jsonl",
             "{\"a\": \"x\", \"b\": 1}\n\n{\"b\": -2, \"c\": 3}\r\n{\"a\": \"中\\u6587\\n\\\"\"}",
             {},
             {{"1", "x", "1", "null"}, {"3", "null", "-2", "3"}, {"4", "中文\n\"", "null", "null"}},
             {"a", "b", "c"},
             {{"line is empty", 1}}},
        Case{
            "digits_as_written",
            "a.jsonl",
            "{\"a\": 12345678901234567890}\n{\"a\": 12345678901234567891}\n{\"a\": -0}\n{\"a\": 1.50}\n{\"a\": 1E+2}\n",
            {},
            {{"1", "12345678901234567890"}, {"2", "12345678901234567891"}, {"3", "-0"}, {"4", "1.50"}, {"5", "1E+2"}}},
        Case{"kinds_may_differ",
             "a.jsonl",
             "{\"a\": 1}\n{\"a\": \"x2\"}\n{\"a\": true}\n{\"a\": null}\n",
             {},
             {{"1", "1"}, {"2", "x2"}, {"3", "true"}, {"4", "null"}}},
        Case{"nested_and_repeated",
             "a.jsonl",
             "{\"a\": 1, \"b\": 1}\n{\"a\": [1]}\n{\"a\": {\"c\": 1}}\n{\"a\": 1, \"a\": 2}\n",
             {},
             {{"1", "1", "1"}},
             {},
             {{"a holds an array", 1}, {"a holds an object", 1}, {"a is given twice", 1}}},
        Case{"bad_lines",
             "a.jsonl",
             "nonsense\n{\"a\": 1}\n{\"a\": \"one\"}\n{\"a\": 2\n{\"a\": 3}\n[1]\n",
             {},
             {{"2", "1"}, {"3", "one"}, {"5", "3"}},
             {},
             {{"not a JSON object", 3}}},
        Case{"broken_utf8",
             "a.json",
             "{\"a\": \"\xff\"}\n{\"a\": \"x\"}\n",
             {},
             {{"2", "x"}},
             {},
             {{"a is not UTF-8", 1}}},
        Case{
            "dates_stay_text", "a.ndjson", "{\"a\": \"2005-09-06\", \"b\": null}\n", {}, {{"1", "2005-09-06", "null"}}},
        Case{"empty", "a.jsonl", "", {}, {}}),
    [](const auto& info) { return info.param.name; });

class TableReading : public FolderTest {
 protected:
  Rejects rejects_;
};

// Records of many lengths, so that block boundaries fall on every position in a record. Ids are record numbers.
TEST_F(TableReading, BlocksLoseNothing) {
  constexpr int64_t count = 60'000;
  const auto filling = [](int64_t row) { return std::string(row * 7919 % 127, 'x'); };
  std::string quoted = "id,text\r\n", dat, json, netflix;
  for (int64_t row = 1; row <= count; row++) {
    quoted += fmt::format("{},\"中,\r\n{}\"\r\n", row + 1, filling(row));
    dat += fmt::format("{}::{}::{}\n", row, filling(row), row);
    json += fmt::format("{{\"id\": {}, \"text\": \"{}\"}}\n", row, filling(row));
    netflix += row % 29'989 == 1 ? fmt::format("{}:\n", row) : fmt::format("{},{},x\n", row, filling(row));
  }
  const auto numbers = [&](TableConfig config, const std::string& id) {
    int64_t seen = 0;
    for (const auto& row : read_rows(config, rejects_, {{id}})) seen += row[0] == row[1];
    return seen;
  };
  EXPECT_EQ(numbers({.path = write("a.csv", quoted)}, "id"), count);
  EXPECT_EQ(numbers({.path = write("a.dat", dat), .format = double_colon}, "f2"), count);
  EXPECT_EQ(numbers({.path = write("a.jsonl.gz", compressed(json))}, "id"), count);
  const TableConfig blocks{.path = write("a.txt", netflix), .format = TableFormat::netflix};
  EXPECT_EQ(numbers(blocks, "customer"), count - 3);
  for (const auto& row : read_rows(blocks, rejects_, {{"customer"}, {"movie"}})) {
    const int64_t customer = std::stoll(row[1]);
    ASSERT_EQ(std::stoll(row[2]), (customer - 1) / 29'989 * 29'989 + 1) << customer;
  }
  EXPECT_EQ(rejects_.total(), 0);
}

TEST_F(TableReading, PatternReadsFilesInOrderOfName) {
  write("part-1.csv", "a\n2\n");
  write("part-0.csv", "b,a\nx,1\n");
  EXPECT_EQ(read_rows({.path = path("part-*.csv")}, rejects_, {{"a"}}), (Rows{{"2", "1"}, {"2", "2"}}));
}

TEST_F(TableReading, TwoStarsAreFoldersOfAnyDepth) {
  std::filesystem::create_directories(path("in/deep/er.csv"));
  std::filesystem::create_directories(path("in/.hidden"));
  write("in/0.csv", "a\ntop\n");
  write("in/deep/1.csv", "a\ndeep\n");
  write("in/deep/1.txt", "not this");
  write("in/deep/er.csv/2.csv", "a\ndeeper\n");
  write("in/.hidden/3.csv", "a\nhidden\n");
  std::filesystem::create_directory_symlink(path("in"), path("in/deep/loop"));
  const Rows all = {{"2", "top"}, {"2", "deep"}, {"2", "deeper"}};
  EXPECT_EQ(read_rows({.path = path("in/**/*.csv")}, rejects_), all);
  EXPECT_EQ(read_rows({.path = path("**/*.csv")}, rejects_), all);
  EXPECT_EQ(read_rows({.path = path("in/**/deep/**/?.csv")}, rejects_), (Rows{{"2", "deep"}, {"2", "deeper"}}));
  EXPECT_EQ(read_rows({.path = path("in/deep/er*/**")}, rejects_), (Rows{{"2", "deeper"}}));
  EXPECT_EQ(read_rows({.path = path("[hi]n/*.csv")}, rejects_), (Rows{{"2", "top"}}));
}

TEST_F(TableReading, LaterFileMustHaveTheColumns) {
  write("part-1.csv", "b\n2\n");
  write("part-0.csv", "a\n1\n");
  EXPECT_THAT([&] { read_rows({.path = path("part-*.csv")}, rejects_, {{"a"}}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("part-1.csv: no column 'a'; its columns are b")));
}

TEST_F(TableReading, AnyNumberOfThreadsGivesTheSame) {
  std::string text = "a\n";
  for (int row = 0; row < 400'000; row++) text += fmt::format("{}\n", row);
  const TableConfig config{.path = write("a.csv", text)};
  const int before = arrow::GetCpuThreadPoolCapacity();
  ASSERT_TRUE(arrow::SetCpuThreadPoolCapacity(1).ok());
  const Rows one = read_rows(config, rejects_);
  ASSERT_TRUE(arrow::SetCpuThreadPoolCapacity(4).ok());
  EXPECT_EQ(one, read_rows(config, rejects_));
  ASSERT_TRUE(arrow::SetCpuThreadPoolCapacity(before).ok());
}

TEST_F(TableReading, WithoutRejectsBrokenRecordsStayInTheBatch) {
  TableReader reader({.path = write("a.csv", "a,b\n1,x\n2\n\n3,\xff\n4,y\n")});
  reader.select({{"b"}});
  TableBatch batch;
  ASSERT_TRUE(reader.next(batch));
  EXPECT_THAT(batch.rows, ElementsAre(2, 6));
  std::vector<std::string> bad;
  for (const auto& [record, reason, text] : batch.bad) bad.push_back(fmt::format("{} {}", record, reason));
  EXPECT_THAT(bad, ElementsAre("3 not 2 columns", "4 line is empty", "5 b is not UTF-8"));
}

TEST_F(TableReading, OnlySelectedMembersOfJsonMatter) {
  const TableConfig config{
      .path = write("a.jsonl", "{\"a\": 1}\n{\"b\": [1, {\"c\": \"\xff\"}], \"a\": 2, \"b\": null}\n{\"b\": [}\n")};
  EXPECT_EQ(read_rows(config, rejects_, {{"a"}}), (Rows{{"1", "1"}, {"2", "2"}}));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("not a JSON object", 1)));
}

TEST_F(TableReading, PipesAreReadOnce) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  std::string text = "a\n";
  for (int row = 0; row < 400'000; row++) text += fmt::format("{}\n", row);
  auto writing = std::async(std::launch::async, [&] { std::ofstream(path("pipe")) << text; });
  const TableConfig config{.path = path("pipe"), .format = csv};
  EXPECT_EQ(read_rows(config, rejects_).size(), 400'000);
  writing.get();
  ASSERT_EQ(mkfifo(path("pipe.gz").c_str(), 0600), 0);
  writing = std::async(std::launch::async, [&] { std::ofstream(path("pipe.gz")) << compressed(text); });
  EXPECT_EQ(read_rows({.path = path("pipe.gz"), .format = csv}, rejects_).size(), 400'000);
  EXPECT_THAT([&] { require_readable_twice(config, "for a test"); },
              ThrowsMessage<std::invalid_argument>(
                  path("pipe") +
                  " is a pipe or device and can be read only once, but is needed again for a test; give a file"));
  EXPECT_THAT([&] { require_readable_twice({.path = "-"}, "for a test"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("- is standard input and can be read only once")));
  EXPECT_THAT([&] { read_rows({.path = "-"}, rejects_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("-: cannot infer the format from the name")));
  require_readable_twice({.path = write("a.csv", "a\n")}, "for a test");
}

TEST_F(TableReading, StoppingEarlyIsFine) {
  const TableConfig config{.path = write("a.csv", "a\n" + std::string(5'000'000, '\n'))};
  TableReader reader(config, rejects_);
  reader.select({{"a"}});
  TableBatch batch;
  EXPECT_TRUE(reader.next(batch));
}

std::shared_ptr<arrow::Array> finish(arrow::ArrayBuilder& builder) { return builder.Finish().ValueOrDie(); }

TEST_F(TableReading, ParquetTypes) {
  arrow::Int32Builder ids;
  arrow::StringDictionaryBuilder names;
  arrow::FloatBuilder values;
  arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"), arrow::default_memory_pool());
  arrow::LargeStringBuilder texts;
  ASSERT_TRUE(ids.AppendValues({7, -1, 9}).ok() && names.Append("甲").ok() && names.AppendNull().ok() &&
              names.Append("甲").ok() && values.AppendValues({0.5f, 4, 3}, {true, true, false}).ok() &&
              times.AppendValues({1'500, 0, -1}).ok() && texts.AppendValues({"x", "\xff", ""}).ok());
  arrow::ListBuilder lists(arrow::default_memory_pool(), std::make_shared<arrow::Int32Builder>());
  ASSERT_TRUE(lists.AppendNulls(3).ok());
  const auto table =
      arrow::Table::Make(arrow::schema({arrow::field("id", arrow::int32()), arrow::field("list", lists.type()),
                                        arrow::field("name", names.type()), arrow::field("value", arrow::float32()),
                                        arrow::field("time", times.type()), arrow::field("text", arrow::large_utf8())}),
                         {finish(ids), finish(lists), finish(names), finish(values), finish(times), finish(texts)});
  const auto out = arrow::io::FileOutputStream::Open(path("a.parquet")).ValueOrDie();
  ASSERT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, /*chunk_size=*/2).ok());
  ASSERT_TRUE(out->Close().ok());

  const TableConfig config{.path = path("a.parquet")};
  EXPECT_EQ(read_rows(config, rejects_, {{"value", false}, {"id"}, {"name"}, {"time", false}}),
            (Rows{{"1", "0.5", "7", "甲", "1970-01-01 00:00:01Z"},
                  {"2", "4", "-1", "null", "1970-01-01 00:00:00Z"},
                  {"3", "null", "9", "甲", "1970-01-01 00:00:00Z"}}));
  EXPECT_EQ(read_rows(config, rejects_, {{"text"}, {"value"}}), (Rows{{"1", "x", "0.5"}, {"3", "", "null"}}));
  EXPECT_THAT(rejects_.counts(), ElementsAre(Pair("text is not UTF-8", 1)));
  EXPECT_THAT([&] { read_rows(config, rejects_, {{"list"}}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("column 'list' has the type list<")));

  const std::string bytes = read(path("a.parquet"));
  for (const size_t size : {size_t{0}, size_t{3}, bytes.size() / 2, bytes.size() - 1}) {
    const std::string broken = write("broken.parquet", std::string_view(bytes).substr(0, size));
    EXPECT_THAT([&] { read_rows({.path = broken}, rejects_); },
                ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("broken.parquet: "), Not(HasSubstr("\n")))))
        << size << " bytes";
  }
}

// Larger than what a reader buffers ahead, so that the change affects unread data.
class ChangedTables : public FolderTest {
 protected:
  static constexpr int64_t rows = 3'000'000;

  static std::string numbers(const std::string& header, const std::string& line) {
    std::string text = header;
    for (int64_t row = 0; row < rows; row++) text += line;
    return text;
  }

  // Reads the first rows, applies `change` to the file, reads the rest.
  void refused(const std::string& file, const std::function<void(const std::string& path)>& change) {
    Rejects rejects;
    TableReader reader({.path = path(file)}, rejects);
    reader.select({{"列"}});
    TableBatch batch;
    ASSERT_TRUE(reader.next(batch));
    change(path(file));
    const auto read_on = [&] {
      while (reader.next(batch)) continue;
    };
    EXPECT_THAT(read_on, ThrowsMessage<std::runtime_error>(EndsWith(file + " changed while it was read")));
  }
  void refused(const std::string& file) {
    const std::string bytes = read(file);
    const auto size = std::filesystem::file_size(path(file));
    refused(file, [&](const auto& path) { std::filesystem::resize_file(path, size / 2); });
    write(file, bytes);
    refused(file, [&](const auto& path) { std::filesystem::resize_file(path, 0); });
    write(file, bytes);
    refused(file, [&](const auto& path) { std::ofstream(path, std::ios::app) << bytes.substr(0, 100); });
    write(file, bytes);
    refused(file, [&](const auto& path) {
      std::ofstream(path + ".new") << bytes;
      std::filesystem::rename(path + ".new", path);
    });
    const auto old = std::filesystem::last_write_time(path(file)) - std::chrono::hours(1);
    refused(file, [&](const auto& path) { std::filesystem::last_write_time(path, old); });
  }
};

TEST_F(ChangedTables, AreNamed) {
  write("表.csv", numbers("列\n", "12345\n"));
  refused("表.csv");
  write("a.csv.gz", compressed(read("表.csv")));
  refused("a.csv.gz");
  write("a.jsonl", numbers("", "{\"列\": 1}\n"));
  refused("a.jsonl");
}

TEST_F(ChangedTables, OfParquetToo) {
  arrow::Int64Builder values;
  for (int64_t row = 0; row < rows; row++) ASSERT_TRUE(values.Append(row).ok());
  const auto table =
      arrow::Table::Make(arrow::schema({arrow::field("列", arrow::int64())}), {values.Finish().ValueOrDie()});
  const auto out = arrow::io::FileOutputStream::Open(path("a.parquet")).ValueOrDie();
  ASSERT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, /*chunk_size=*/100'000).ok());
  ASSERT_TRUE(out->Close().ok());
  refused("a.parquet");
}

struct Refusal {
  std::string name, file, bytes;
  TableConfig config;
  std::string message;

  friend void PrintTo(const Refusal& test, std::ostream* out) { *out << test.name; }
};

class TableRefusals : public FolderTest, public ::testing::WithParamInterface<Refusal> {};

TEST_P(TableRefusals, NamesFileAndFault) {
  TableConfig config = GetParam().config;
  config.path = path(GetParam().file);
  if (!GetParam().bytes.empty() || GetParam().file.starts_with("empty.")) write(GetParam().file, GetParam().bytes);
  Rejects rejects;
  const auto reading = [&] {
    config.check();
    read_rows(config, rejects, {{"rating"}});
  };
  EXPECT_THAT(reading,
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr(GetParam().message), Not(HasSubstr("\n")))));
}

INSTANTIATE_TEST_SUITE_P(
    All, TableRefusals,
    ::testing::Values(
        Refusal{"missing_file", "none.csv", "", {}, "none.csv: no such file"},
        Refusal{"folder", "", "", {}, " is a folder; give a file or a pattern such as "},
        Refusal{"missing_column",
                "a.csv",
                "user,ratng\n",
                {},
                "a.csv: no column 'rating' (did you mean ratng?); its columns are user, ratng"},
        Refusal{"column_twice", "a.csv", "rating,rating\n", {}, "a.csv: column 'rating' occurs 2 times"},
        Refusal{"missing_key", "a.jsonl", "{\"a\": 1}\n", {}, "a.jsonl: no column 'rating'; its columns are a"},
        Refusal{"json_array_in_a_line",
                "a.json",
                "[{\"rating\": 1}, {\"rating\": 2}]",
                {},
                "a.json is a JSON array, expected JSON Lines (one object per line); convert it with jq -c '.[]' "},
        Refusal{"json_array_over_lines",
                "a.jsonl",
                "\n[\n  {\"rating\": 1},\n  {\"rating\": 2}\n]\n",
                {},
                "a.jsonl is a JSON array, "},
        Refusal{"json_array_with_objects_in_lines",
                "a.jsonl",
                "[{\"rating\": 1},\n{\"rating\": 2}]\n",
                {},
                "a.jsonl is a JSON array, "},
        Refusal{
            "endless_json_array", "a.jsonl", "[" + std::string(65 << 20, ' ') + "]", {}, "a.jsonl is a JSON array, "},
        Refusal{"json_over_lines",
                "a.jsonl",
                "{\n  \"rating\": 1\n}\n{\n  \"rating\": 2\n}\n",
                {},
                "a.jsonl has an object over several lines, expected JSON Lines (one object per line); convert it with "
                "jq -c . "},
        Refusal{"no_json",
                "a.jsonl",
                "rating\xb5\x1b\n1\n",
                {},
                "none of the first 100 lines is a JSON object with columns: rating\\xb5\\x1b\\n1"},
        Refusal{"decimal_of_json",
                "a.jsonl",
                "{\"rating\": 1.5}\n",
                {.decimal = DecimalMark::comma},
                "a.jsonl: decimal is a comma, but JSON numbers use a point"},
        Refusal{"only_blank_lines", "a.csv", "\n\n", {}, "a.csv is empty; a header is expected"},
        Refusal{
            "parquet_of_a_pipe", "../../../../../dev/null", "", {.format = parquet}, "Parquet needs a regular file"},
        Refusal{"empty_file", "empty.csv", "", {}, "empty.csv is empty; a header is expected"},
        Refusal{"empty_json", "empty.jsonl", "", {}, "empty.jsonl: no column 'rating', the file is empty"},
        Refusal{
            "utf16", "a.csv", "\xff\xfer\n", {}, "a.csv: found UTF-16, expected utf-8; set encoding to utf-16 or auto"},
        Refusal{"unknown_ending", "a.xls", "x", {}, "a.xls: cannot infer the format from the name"},
        Refusal{"truncated_gzip", "a.csv.gz", compressed("rating\n1\n2\n").substr(0, 15), {}, "a.csv.gz: "},
        Refusal{"no_gzip", "a.csv.gz", "rating\n1\n", {}, "a.csv.gz: "},
        Refusal{"open_quote",
                "a.csv",
                "user,rating\n1,2\n3,\"中,4\n5,6\n",
                {},
                "a.csv: the record at byte 16 has an unclosed quote: 3,\"中,4"},
        Refusal{"endless_quote",
                "a.csv",
                "rating\n\"" + std::string(65 << 20, 'x'),
                {},
                "has no end within 64 MiB; is a quote unclosed?"},
        Refusal{"empty_separator", "a.csv", "x", {.separator = ""}, "separator is empty"},
        Refusal{"long_quote", "a.csv", "x", {.quote = "''"}, "quote is '''', expected one character or none"},
        Refusal{"quote_and_long_separator",
                "a.csv",
                "x",
                {.separator = "::", .quote = "'"},
                "a.csv: quote needs a separator of one character, not '::'"},
        Refusal{"header_and_names",
                "a.csv",
                "x",
                {.header = true, .column_names = {"a"}},
                "column_names cannot be combined with header: true"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sartor::datasets
