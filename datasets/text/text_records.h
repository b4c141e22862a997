// Records of a table and the texts that templates form from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tables/table_reader.h"
#include "text/template.h"

namespace arrow {
class StringArray;
}

namespace sartor::text {

struct UnfitRow {
  std::string file;
  int64_t row;  // record number in `file`, from 1, including headers and blank lines
  std::string reason, text;
};

// Iterates over the records of a table, including invalid ones. After construction it is at the first record.
class TextRecords {
 public:
  // `text` and `pair` are templates; `columns` are additional columns to read. All functions throw
  // std::invalid_argument if a file is missing, cannot be parsed or lacks a column, or a template is invalid.
  TextRecords(const datasets::TableConfig& table, const std::string& text, const std::optional<std::string>& pair,
              const std::vector<std::string>& columns);

  bool more();  // whether there is a current record; reads the next batch if necessary
  void skip();

  // Index of the record among all records, from 0.
  int64_t place() const { return place_; }

  // Number of the record in the concatenated files of the table, from 1, including headers and blank lines.
  int64_t row() const { return batch_.earlier + (at_bad() ? batch_.bad[bad_].record : batch_.rows[row_]); }

  // Number of records in all files. Valid once more() is false.
  int64_t rows() const { return reader_.records(); }

  // Appends the record's texts, which are valid UTF-8 and not blank. Returns the reason if the record is invalid or a
  // text is missing; the caller must then remove what was appended.
  std::optional<UnfitRow> append_texts(std::string& text, std::string& pair) const;

  // Value of additional column i; not available for invalid records. Valid until more().
  std::string_view column(size_t i) const { return value(column_places_[i]); }

  UnfitRow unfit(std::string reason, std::string_view text) const;

 private:
  bool at_bad() const;
  std::string_view value(size_t place) const;

  datasets::TableReader reader_;
  Template text_;
  std::optional<Template> pair_;
  std::vector<size_t> text_places_, pair_places_, column_places_;  // in columns_
  datasets::TableBatch batch_ = {};
  std::vector<const arrow::StringArray*> columns_;  // of the current batch
  size_t row_ = 0, bad_ = 0;                        // next valid and invalid record of the batch
  int64_t place_ = 0;
};

}  // namespace sartor::text
