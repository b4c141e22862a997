// Reading of tables: blocks, patterns, threads, pipes, Parquet types.
#include "tables/table_reader.h"

#include <arrow/array/builder_binary.h>
#include <arrow/array/builder_dict.h>
#include <arrow/array/builder_nested.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/table.h>
#include <arrow/util/thread_pool.h>
#include <parquet/arrow/writer.h>

#include <sys/stat.h>

#include <fstream>
#include <future>

#include "datasets/tables_support.h"
#include "tables/table_files.h"

namespace sartor::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::ThrowsMessage;
using enum TableFormat;

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

}  // namespace
}  // namespace sartor::datasets
