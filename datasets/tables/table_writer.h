// Tables out: CSV, TSV, JSONL or Parquet.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sartor::datasets {

// The values of one column for some rows. Numbers that are not finite count as missing: empty in CSV and TSV, null in
// JSONL and Parquet. Text must be UTF-8.
using ColumnValues = std::variant<std::span<const int64_t>, std::span<const float>, std::span<const double>,
                                  std::span<const std::string_view>>;

enum class ColumnType { int64, float32, float64, text };  // in the order of ColumnValues

struct ColumnSpec {
  std::string name;
  ColumnType type;
};

// Throws std::invalid_argument unless the name tells a form that can be written.
void check_table_name(const std::filesystem::path& path);

// Writes a table whose form its name tells: .csv, .tsv, .jsonl or .parquet. Floats are written with the fewest digits
// that give the same float again. The file takes its name, whole and synced, in finish(); without it nothing remains.
class TableWriter {
 public:
  class Form;

  // Throws std::invalid_argument if the name tells no form, or the file exists and may not be overwritten.
  TableWriter(const std::filesystem::path& path, std::vector<ColumnSpec> columns, bool overwrite = false);
  ~TableWriter();
  TableWriter(TableWriter&&) noexcept;

  // One entry a column, all of the same length. Throws std::invalid_argument where types, lengths or UTF-8 are wrong,
  // std::system_error where the file cannot be written.
  void append(const std::vector<ColumnValues>& values);
  void finish();

  int64_t rows() const { return rows_; }

 private:
  std::string path_;
  std::vector<ColumnSpec> columns_;
  std::unique_ptr<Form> form_;
  int64_t rows_ = 0;
};

}  // namespace sartor::datasets
