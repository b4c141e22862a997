// Tables of any format as a stream of Arrow record batches.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/watched_files.h"
#include "tables/rejects.h"
#include "tables/table_config.h"

namespace arrow {
class RecordBatch;
}

namespace sartor::datasets {

// A column to read. As text it arrives as valid UTF-8 (arrow::utf8), whatever the file has. Otherwise Parquet's numbers
// arrive as int64 or float64, its dates and times as timestamp in seconds; all else as utf8, numbers as they are
// written.
struct TableColumn {
  std::string name;
  bool text = true;
};

// A record that cannot be used, and why.
struct BadRecord {
  int64_t record;
  std::string reason, text;
};

struct TableBatch {
  std::string file;
  std::vector<int64_t> rows;  // 1-based number of the record in `file`, headers and blank lines counted
  std::shared_ptr<arrow::RecordBatch> columns;
  std::vector<BadRecord> bad = {};  // of a reader without rejects: broken records beside these rows, numbered like them
  int64_t earlier = 0;              // records of the files before this one
};

// Reads the files of config.path one after the other: CSV, TSV, other separators, JSONL, Parquet, Netflix blocks.
// Text is parsed ahead on Arrow's CPU threads. Memory is some MiB a thread, whatever the file's size.
// Records that are broken (blank, columns missing or surplus, no JSON, not in their encoding) go to `rejects`, which
// must outlive this, or, without one, stay in the batch. All functions throw std::invalid_argument for a file that is
// missing or broken.
// next() throws std::runtime_error for one that changed before all was read, which may have made it look broken.
class TableReader {
 public:
  class File;

  TableReader(const TableConfig& config, Rejects& rejects) : TableReader(config, &rejects) {}
  explicit TableReader(const TableConfig& config) : TableReader(config, nullptr) {}
  ~TableReader();

  // Names in the file that comes next, and the file.
  const std::vector<std::string>& columns() const;
  const std::string& file() const;

  // Must come before next(). Throws if one of the files lacks a column.
  void select(std::vector<TableColumn> columns);

  // Of all files, as far as they were given; headers and blank lines count.
  int64_t records() const;

  // Replaces `batch` by the next rows, whose columns stand in the order of select(); false at the end.
  bool next(TableBatch& batch);

 private:
  TableReader(const TableConfig& config, Rejects* rejects);
  bool read_next(TableBatch& batch);
  void open_next();

  TableConfig config_;
  Rejects* rejects_;
  std::vector<std::string> files_;
  WatchedFiles watched_;
  size_t opened_ = 0;                       // of files_
  int64_t earlier_records_ = 0;             // of the files before this one
  std::optional<TextEncoding> recognised_;  // of the last file
  std::vector<TableColumn> selected_;
  std::unique_ptr<File> file_;
};

}  // namespace sartor::datasets
