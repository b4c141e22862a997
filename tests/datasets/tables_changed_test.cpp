// Tables that change while they are read.
#include <arrow/array/builder_primitive.h>
#include <arrow/table.h>
#include <parquet/arrow/writer.h>

#include <chrono>
#include <fstream>
#include <functional>

#include "datasets/tables_support.h"
#include "tables/table_reader.h"

namespace sartor::datasets {
namespace {

using ::testing::EndsWith;
using ::testing::ThrowsMessage;

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

}  // namespace
}  // namespace sartor::datasets
