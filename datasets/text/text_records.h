// A table's records one after the other, and the texts that templates make of them.
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
  int64_t row;  // 1-based number of the record in `file`, headers and blank lines counted
  std::string reason, text;
};

// Stands before a record, if there is one. Broken records have their places among the others.
class TextRecords {
 public:
  // text, pair: templates. columns: those that are wanted beside the texts'. All functions throw std::invalid_argument
  // where a file is missing, broken or lacks a column, or a template is none.
  TextRecords(const datasets::TableConfig& table, const std::string& text, const std::optional<std::string>& pair,
              const std::vector<std::string>& columns);

  bool more();  // whether there is a record; reads on if need be
  void skip();

  // Of the record, among all that were read: from 0.
  int64_t place() const { return place_; }

  // Of the record, in the table's files one after the other: from 1, headers and blank lines counted.
  int64_t row() const { return batch_.earlier + (at_bad() ? batch_.bad[bad_].record : batch_.rows[row_]); }

  // Of all files, once more() is false.
  int64_t rows() const { return reader_.records(); }

  // Appends the record's texts, valid UTF-8 and not only whitespace. Where it is broken or one is missing returns why,
  // and what was appended is to be taken back.
  std::optional<UnfitRow> append_texts(std::string& text, std::string& pair) const;

  // Of the columns that were wanted, number i; not of a broken record. Holds until more().
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
  std::vector<const arrow::StringArray*> columns_;  // of the batch
  size_t row_ = 0, bad_ = 0;                        // next ones of the batch
  int64_t place_ = 0;
};

}  // namespace sartor::text
