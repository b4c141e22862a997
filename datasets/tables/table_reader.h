// Tables of any format as a stream of Arrow record batches.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/watched_files.h"
#include "tables/rejects.h"
#include "tables/table_config.h"

namespace arrow {
class RecordBatch;
}

namespace sartor::datasets {

// A column to read. As text it arrives as valid UTF-8 (arrow::utf8), whatever the file has. Otherwise text arrives as
// utf8, numbers as int64 or float64, dates and times as timestamp in seconds.
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
  std::vector<int64_t> rows;  // 1-based number of the record in `file`, a header being record 1
  std::shared_ptr<arrow::RecordBatch> columns;
  std::vector<BadRecord> bad = {};  // of a reader without rejects: broken records beside these rows, numbered like them
};

// Reads the files of config.path one after the other: CSV, TSV, other separators, JSONL, Parquet, Netflix blocks.
// Text is parsed ahead on Arrow's CPU threads. Memory is some MiB a thread, whatever the file's size.
// Records that are broken (columns missing or surplus, no JSON, no UTF-8) go to `rejects`, which must outlive this, or,
// without one, stay in the batch. All functions throw std::invalid_argument for a file that is missing or broken.
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
  size_t opened_ = 0;  // of files_
  std::vector<TableColumn> selected_;
  std::unique_ptr<File> file_;
};

}  // namespace sartor::datasets
