// Writes CSV, TSV, JSON Lines and Parquet tables.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sartor::datasets {

// Values of one column. Non-finite numbers are missing values: empty in CSV and TSV, null in JSON Lines and Parquet.
// Text must be valid UTF-8.
using ColumnValues = std::variant<std::span<const int64_t>, std::span<const float>, std::span<const double>,
                                  std::span<const std::string_view>>;

enum class ColumnType { int64, float32, float64, text };  // in the order of ColumnValues

struct ColumnSpec {
  std::string name;
  ColumnType type;
};

// Throws std::invalid_argument unless the file extension is .csv, .tsv, .jsonl or .parquet.
void check_table_name(const std::filesystem::path& path);

// Writes a table in the format given by the file extension. Floats have the fewest digits that parse to the same value.
// finish() gives the complete, synced file its name; without it no file remains.
class TableWriter {
 public:
  class Form;

  // Throws std::invalid_argument for an unknown extension, or if the file exists and `overwrite` is false.
  TableWriter(const std::filesystem::path& path, std::vector<ColumnSpec> columns, bool overwrite = false);
  ~TableWriter();
  TableWriter(TableWriter&&) noexcept;

  // Appends rows; `values` has one entry per column, all of the same length. Throws std::invalid_argument for wrong
  // types or lengths and for invalid UTF-8, std::system_error if the file cannot be written.
  void append(const std::vector<ColumnValues>& values);

  // Whether append_file() can copy the rows of this file, because it has the same text format.
  bool can_append_file(const std::filesystem::path& path) const;

  // Appends the rows of a table that another TableWriter has written with the same columns, without parsing them. Calls
  // `between` after every MiB. Throws std::invalid_argument if the file has other columns, std::system_error if it
  // cannot be read.
  void append_file(const std::filesystem::path& path, const std::function<void()>& between);

  void finish();

  int64_t rows() const { return rows_; }

 private:
  std::string path_;
  std::vector<ColumnSpec> columns_;
  std::unique_ptr<Form> form_;
  int64_t rows_ = 0;
};

}  // namespace sartor::datasets
