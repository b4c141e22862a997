// Reads tables of any format as a stream of Arrow record batches.
#pragma once

#include <algorithm>
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

// A column to read. With `text` its type is arrow::utf8, valid UTF-8, whatever the type in the file. Otherwise numbers
// from Parquet are int64 or float64, dates and times from Parquet timestamps in seconds, and everything else utf8.
struct TableColumn {
  std::string name;
  bool text = true;
};

// An invalid record and the reason.
struct BadRecord {
  int64_t record;
  std::string reason, text;
};

struct TableBatch {
  std::string file;
  std::vector<int64_t> rows;  // record numbers in `file` from 1, including headers and blank lines
  std::shared_ptr<arrow::RecordBatch> columns;
  std::vector<BadRecord> bad = {};  // invalid records between these rows, with record numbers; only without Rejects
  int64_t earlier = 0;              // number of records in earlier files
};

// Reads the files of config.path in order: CSV, TSV, other separators, JSON Lines, Parquet, Netflix blocks. Text is
// parsed ahead on Arrow's CPU threads; memory is a few MiB per thread, independent of the file size.
// Invalid records (blank lines, wrong number of columns, invalid JSON or text) go to `rejects`, which must outlive the
// reader, or to TableBatch::bad if there is none. All functions throw std::invalid_argument if a file is missing or
// cannot be parsed; next() throws std::runtime_error if a file changed while it was read.
class TableReader {
 public:
  class File;

  TableReader(const TableConfig& config, Rejects& rejects) : TableReader(config, &rejects) {}
  explicit TableReader(const TableConfig& config) : TableReader(config, nullptr) {}
  ~TableReader();

  // Columns and name of the current file.
  const std::vector<std::string>& columns() const;
  const std::string& file() const;

  // Selects the columns to read; must be called before next(). Throws if a file lacks one of them.
  void select(std::vector<TableColumn> columns);

  // Number of records read so far in all files, including headers and blank lines.
  int64_t records() const;

  // Skips up to `records` records, also across files, and returns how many: all of them unless the table ends, or their
  // format does not allow to find them without parsing. They are not parsed: invalid ones are not reported.
  int64_t skip(int64_t records);

  // Says that only this many records will be read before others are skipped: later ones are not parsed ahead.
  void want(int64_t records) { wanted_ = std::max<int64_t>(records, 1); }

  // Replaces `batch` with the next rows, with columns in the order of select(). Returns false at the end.
  bool next(TableBatch& batch);

 private:
  TableReader(const TableConfig& config, Rejects* rejects);
  // Calls `read`. If it fails because a file has changed, says so.
  template <class Read> auto watched(const Read& read) const;
  bool read_next(TableBatch& batch);
  bool follow();  // opens the next file; returns false if there is none
  void open_next();

  TableConfig config_;
  Rejects* rejects_;
  std::vector<std::string> files_;
  WatchedFiles watched_;
  size_t opened_ = 0;                       // number of files opened
  int64_t earlier_records_ = 0;             // number of records in earlier files
  std::optional<TextEncoding> recognised_;  // detected encoding of the last file
  std::vector<TableColumn> selected_;
  std::optional<int64_t> wanted_;  // see want()
  std::unique_ptr<File> file_;
};

}  // namespace sartor::datasets
