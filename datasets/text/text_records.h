// Records of a table and the texts that templates form from them.
#pragma once

#include <cstdint>
#include <initializer_list>
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

// A template and how messages call its text.
struct TextTemplate {
  std::string pattern;
  std::string name = "text";
  bool may_be_blank = false;
};

// A column with the same value in all rows of a table.
struct ConstantColumn {
  std::string column, value;

  template <class Fields> void describe(Fields& field) {
    field.required("column", column, "Name of the column.");
    field.required("value", value, "Its value in all rows.");
  }
};

// Record number in a file, from 1, including headers and blank lines.
struct TextPlace {
  std::string file;
  int64_t row;
};

struct UnfitRow {
  std::string file;
  int64_t row;  // record number in `file`, from 1, including headers and blank lines
  std::string reason, text;
};

// Iterates over the records of a table, including invalid ones. After construction it is at the first record.
class TextRecords {
 public:
  // `columns` are additional columns to read. `constants` replace columns of the table that have the same names. All
  // functions throw std::invalid_argument if a file is missing, cannot be parsed or lacks a column, or a template is
  // invalid.
  TextRecords(const datasets::TableConfig& table, const std::vector<TextTemplate>& texts,
              const std::vector<std::string>& columns, std::vector<ConstantColumn> constants = {});

  bool more();  // whether there is a current record; reads the next batch if necessary
  void skip();

  // Moves forward to the record with place() == first, or to the end of the table. The records between are not parsed
  // if their format allows it. If `end` is given, records from there on are not parsed ahead.
  void seek(int64_t first, std::optional<int64_t> end);

  // Index of the record among all records, from 0.
  int64_t place() const { return place_; }

  // Number of the record in the concatenated files of the table, from 1, including headers and blank lines.
  int64_t row() const { return batch_.earlier + (at_bad() ? batch_.bad[bad_].record : batch_.rows[row_]); }

  // Number of records in all files. Valid once more() is false.
  int64_t rows() const { return reader_.records(); }

  // Appends the record's texts, which are valid UTF-8 and not blank unless they may be, to one string per template.
  // Returns the reason if the record is invalid or a text is missing; the caller must then remove what was appended.
  std::optional<UnfitRow> append_texts(std::initializer_list<std::string*> to) const;

  // Value of additional column i; not available for invalid records. Valid until more().
  std::string_view column(size_t i) const { return value(column_places_[i]); }

  TextPlace place_in_file() const { return {batch_.file, batch_.rows[row_]}; }  // of a valid record
  UnfitRow unfit(std::string reason, std::string_view text) const;

 private:
  struct Text {
    Template pattern;
    std::vector<size_t> places;
    std::string missing;  // reason for blank texts; empty if they are allowed
  };

  int64_t left_in_batch() const { return std::ssize(batch_.rows) + std::ssize(batch_.bad) - row_ - bad_; }
  bool at_bad() const;
  // Adds the columns that are not constant to `selected`.
  std::vector<size_t> places_of(const std::vector<std::string>& names,
                                std::vector<datasets::TableColumn>& selected) const;
  std::string_view value(size_t place) const;

  datasets::TableReader reader_;
  std::vector<ConstantColumn> constants_;
  std::vector<Text> texts_;
  std::vector<size_t> column_places_;  // a place is an index in columns_ or, counted from SIZE_MAX down, in constants_
  datasets::TableBatch batch_ = {};
  std::vector<const arrow::StringArray*> columns_;  // of the current batch
  int64_t row_ = 0, bad_ = 0;                       // next valid and invalid record of the batch
  int64_t place_ = 0;
};

}  // namespace sartor::text
