// Skipping of records: what is read after it is what a reader of the whole table finds there.
#include <arrow/array/builder_binary.h>
#include <arrow/table.h>
#include <arrow/util/thread_pool.h>
#include <parquet/arrow/writer.h>

#include <algorithm>

#include "base/random.h"
#include "datasets/tables_support.h"
#include "tables/table_reader.h"

namespace sartor::datasets {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using enum TableFormat;

class TableSkipping : public FolderTest {
 protected:
  // The next records, at least `most` if there are so many: file, number, and value or reason.
  static std::vector<std::string> read_next(TableReader& reader, int64_t most = INT64_MAX) {
    std::vector<std::string> records;
    for (TableBatch batch; std::ssize(records) < most && reader.next(batch);) {
      const auto place = [&](int64_t record) { return fmt::format("{} {} ", batch.file, record); };
      auto bad = batch.bad.begin();
      for (int64_t row = 0; row <= std::ssize(batch.rows); row++) {
        const bool end = row == std::ssize(batch.rows);
        for (; bad != batch.bad.end() && (end || bad->record < batch.rows[row]); ++bad) {
          records.push_back(place(bad->record) + bad->reason + ": " + bad->text);
        }
        if (end) break;
        records.push_back(place(batch.rows[row]));
        for (const auto& column : batch.columns->columns()) {
          records.back() += column->GetScalar(row).ValueOrDie()->ToString() + "|";
        }
      }
    }
    return records;
  }
  struct Opened : TableReader {
    Opened(const TableConfig& config, const std::vector<TableColumn>& columns) : TableReader(config) {
      select(columns);
    }
  };

  // Reads `wanted` records, skips `skipped`, and so on to the end.
  static std::vector<std::string> alternating(TableReader& reader, int64_t wanted, int64_t skipped, bool exact) {
    std::vector<std::string> records;
    while (true) {
      reader.want(wanted);
      const auto some = read_next(reader, wanted);
      if (some.empty()) return records;
      EXPECT_TRUE(!exact || std::ssize(some) <= wanted);
      records.insert(records.end(), some.begin(), some.end());
      if (!exact) continue;
      const int64_t gone = reader.skip(skipped);
      records.insert(records.end(), gone, "");
      if (gone < skipped) {
        EXPECT_THAT(read_next(reader), IsEmpty());
        return records;
      }
    }
  }

  static void expect_skips(const TableConfig& config, const std::vector<TableColumn>& columns = {{"text"}}) {
    Opened whole(config, columns);
    const auto all = read_next(whole);
    const int64_t records = std::ssize(all);
    for (int64_t first = 0; first <= records + 1; first++) {
      Opened reader(config, columns);
      EXPECT_EQ(reader.skip(first), std::min(first, records));
      EXPECT_THAT(read_next(reader), ElementsAreArray(all.begin() + std::min(first, records), all.end())) << first;
      EXPECT_EQ(reader.records(), whole.records());
    }
    for (const auto& [wanted, skipped] : {std::pair(1, 0), {1, 1}, {2, 3}, {3, 1}, {1, 7}, {100, 1}}) {
      Opened reader(config, columns);
      auto found = alternating(reader, wanted, skipped, /*exact=*/true);
      ASSERT_EQ(std::ssize(found), records) << wanted << " " << skipped;
      for (int64_t i = 0; i < records; i++) {
        const bool read = i % (wanted + skipped) < wanted;
        EXPECT_EQ(found[i], read ? all[i] : "") << i << " " << wanted << " " << skipped;
      }
      EXPECT_EQ(reader.records(), whole.records());
    }
  }

  std::string write_parquet(const std::string& name, const std::vector<std::string>& texts, int64_t group) const {
    arrow::StringBuilder column;
    for (const auto& text : texts) EXPECT_TRUE((text == "null" ? column.AppendNull() : column.Append(text)).ok());
    const auto table =
        arrow::Table::Make(arrow::schema({arrow::field("text", arrow::utf8())}), {column.Finish().ValueOrDie()});
    const auto out = arrow::io::FileOutputStream::Open(path(name)).ValueOrDie();
    EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, group).ok() && out->Close().ok());
    return path(name);
  }
};

constexpr const char* difficult =
    "id,text\r\n"
    "1,好\r\n"
    "\r\n"
    "2,\"zwei\nlines, and \"\"quotes\"\"\r\n\"\r\n"
    "only one\n"
    "3,a \" inside\n"
    "4,\xff\xfe\n"
    "\n\n"
    "5,\"\"\n"
    "\"6\",\"坏\"\r"
    "7,lone\r"
    "\r"
    "8,,\n"
    "9,\"\"\"\"\n"
    "10,last";

TEST_F(TableSkipping, OfDelimitedRecords) {
  expect_skips({.path = write("a.csv", difficult)});
  expect_skips({.path = write("a.csv.gz", compressed(difficult))});
  expect_skips({.path = write("b.csv", std::string(difficult) + "\n\n"), .header = false}, {{"f0"}, {"f1"}});
  expect_skips({.path = write("a.tsv", "id\ttext\n1\t\"a\n2\tb\"\n\n3\t好\r\n4\n"), .separator = "\t"});
  expect_skips({.path = write("q.tsv", "id\ttext\n1\t'a\n2\tb'\n\n3\t好\r\n4\n"),
                .format = csv,
                .separator = "\t",
                .quote = "'"});
  expect_skips({.path = write("a.dat", "1::\"x::1\n2::y\"::2\n\n3::z\n"), .format = double_colon}, {{"f1"}});
  expect_skips({.path = write("empty.csv", "id,text\n")});
}

TEST_F(TableSkipping, OfLinesWithoutQuotes) {
  expect_skips({.path = write("a.jsonl",
                              "{\"text\": \"一\"}\n\n{\"text\": 2}\r\n[]\n{\"text\":\r3}\n{\"text\": \"\xff\"}\n"
                              "{\"other\": 1}\n \n{\"text\": \"\\n\"}")});
  const std::string gb18030 = "id,text\n1,\xba\xc3\n2\n3,\xbb\xb5\n4,\xff\n";
  expect_skips({.path = write("g.csv", gb18030), .encoding = TextEncoding::gb18030});
  const std::string utf16 = std::string("\xff\xfe", 2) + std::string("t\0e\0x\0t\0\n\0", 10) +
                            std::string("\x7d\x59\n\0\x4f\x57\n\0\n\0", 10);
  expect_skips({.path = write("u.csv", utf16), .encoding = TextEncoding::automatic});
}

TEST_F(TableSkipping, OfParquet) {
  const std::vector<std::string> texts = {"一", "null", "\xff", "4", "", "六", "7"};
  for (const int64_t group : {1, 2, 3, 7, 100}) expect_skips({.path = write_parquet("a.parquet", texts, group)});
  expect_skips({.path = write_parquet("none.parquet", {}, 1)});
}

TEST_F(TableSkipping, GoesOnInTheNextFile) {
  write("1.csv", "id,text\n1,a\n\n2,b\n");
  write("2.csv", "text\n");
  write("3.csv", "\n\ntext,more\nc,\n好,\n\n");
  write("4.csv", "text\nd");
  expect_skips({.path = path("?.csv")});
  write("1.jsonl", "{\"text\": 1}\n");
  write("2.jsonl", "{\"text\": 2}\n\n{\"text\": 3}");
  expect_skips({.path = path("?.jsonl")});
  write_parquet("1.parquet", {"a", "b", "c"}, 2);
  write_parquet("2.parquet", {}, 1);
  write_parquet("3.parquet", {"d", "e", "f", "g"}, 3);
  expect_skips({.path = path("?.parquet")});
}

TEST_F(TableSkipping, IsNotPossibleInNetflixFiles) {
  const TableConfig config = {.path = write("n.txt", "7:\n1,5,x\n\n2,4,y\n8:\n3,3\n4,1,z\n"), .format = netflix};
  const std::vector<TableColumn> columns = {{"customer"}, {"movie"}};
  Opened whole(config, columns);
  const auto all = read_next(whole);
  EXPECT_EQ(all.size(), 5);
  Opened reader(config, columns);
  EXPECT_EQ(reader.skip(3), 0);
  EXPECT_EQ(alternating(reader, 2, 0, /*exact=*/false), all);
}

// Blocks are about 1 MiB.
TEST_F(TableSkipping, CrossesBlocks) {
  std::string quoted = "id,text\n", json;
  std::vector<std::string> texts;
  for (int64_t row = 0; row < 90'000; row++) {
    const std::string text(static_cast<size_t>(random_bits(1, static_cast<uint64_t>(row)) % 90), row % 2 ? 'a' : ',');
    quoted += fmt::format("{},\"{}{}\"\n", row, text, row % 5 == 0 ? "\n好" : "");
    json += fmt::format("{{\"text\": \"{}好{}\"}}\n", row, text);
    texts.push_back(text);
  }
  write("a.csv", quoted);
  write("b.jsonl.gz", compressed(json));
  write_parquet("c.parquet", texts, 20'000);
  const int before = arrow::GetCpuThreadPoolCapacity();
  ASSERT_TRUE(arrow::SetCpuThreadPoolCapacity(3).ok());
  for (const auto* file : {"a.csv", "b.jsonl.gz", "c.parquet"}) {
    SCOPED_TRACE(file);
    Opened whole({.path = path(file)}, {{"text"}});
    const auto all = read_next(whole);
    ASSERT_EQ(all.size(), 90'000);
    for (const auto& [wanted, skipped] : {std::pair(1'000, 7'000), {5'000, 5'000}, {30'000, 100}, {3, 40'000}}) {
      Opened reader({.path = path(file)}, {{"text"}});
      const auto found = alternating(reader, wanted, skipped, /*exact=*/true);
      ASSERT_EQ(found.size(), all.size());
      for (int64_t i = 0; i < std::ssize(all); i++) {
        ASSERT_EQ(found[i], i % (wanted + skipped) < wanted ? all[i] : "") << i;
      }
    }
  }
  ASSERT_TRUE(arrow::SetCpuThreadPoolCapacity(before).ok());
}

// What has begun to be parsed is not skipped, but given.
TEST_F(TableSkipping, LeavesWhatIsBeingParsed) {
  Opened reader({.path = write("a.csv", std::string(difficult) + "\n")}, {{"text"}});
  EXPECT_EQ(read_next(reader, 1).size(), 15) << "all, because no one said how many are wanted";
  std::string many = "text\n";
  for (int row = 0; row < 400'000; row++) many += fmt::format("{}\n", row);
  Opened ahead({.path = write("b.csv", many)}, {{"text"}});
  const int64_t given = std::ssize(read_next(ahead, 1));
  EXPECT_EQ(ahead.skip(5), 0);
  EXPECT_EQ(given + std::ssize(read_next(ahead)), 400'000);
}

TEST_F(TableSkipping, FindsTheRecordsThatArrowFinds) {
  constexpr const char* pieces[] = {"a",    ",",  ",",    "\"",   "\"",  "\n",  "\n",  "\r",
                                    "\r\n", "好", "\xff", "\"\"", ",\"", "\",", "\n\""};
  int64_t tried = 0;
  for (uint64_t seed = 0; seed < 1'500; seed++) {
    std::string text = "text,b\n";
    for (uint64_t i = 0; i < random_bits(seed, 0) % 30; i++)
      text += pieces[random_bits(seed, i + 1) % std::size(pieces)];
    const TableConfig config = {.path = write("a.csv", text)};
    try {
      Opened whole(config, {{"text"}, {"b"}});
      read_next(whole);
    } catch (const std::invalid_argument&) {  // an unclosed quote
      continue;
    }
    SCOPED_TRACE(::testing::PrintToString(text));
    expect_skips(config, {{"text"}, {"b"}});
    if (HasFailure()) return;
    tried++;
  }
  EXPECT_GT(tried, 500);
}

// Lines that end with \r alone make up for empty ones when lines and records are compared.
TEST_F(TableSkipping, EmptyLinesAreFoundBesideLoneReturns) {
  Opened reader({.path = write("a.csv", "text\n1\r2\n\n3\n")}, {{"text"}});
  const auto file = path("a.csv");
  EXPECT_THAT(read_next(reader),
              ElementsAreArray({file + " 2 1|", file + " 3 2|", file + " 4 line is empty: ", file + " 5 3|"}));
}

}  // namespace
}  // namespace sartor::datasets
