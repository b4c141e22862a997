// Config of input tables and of the ratings and items in them.
#pragma once

#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "encodings/text_encoding.h"
#include "schema/fields.h"

namespace sartor::datasets {

enum class TableFormat { automatic, csv, tsv, double_colon, pipe, jsonl, parquet, netflix };

constexpr auto choices(TableFormat) {
  return std::to_array<Choice<TableFormat>>({{"auto", TableFormat::automatic},
                                             {"csv", TableFormat::csv},
                                             {"tsv", TableFormat::tsv},
                                             {"double_colon", TableFormat::double_colon},
                                             {"pipe", TableFormat::pipe},
                                             {"jsonl", TableFormat::jsonl},
                                             {"parquet", TableFormat::parquet},
                                             {"netflix", TableFormat::netflix}});
}

enum class TablePreset { none, movielens, recbole, netflix, amazon_reviews };

constexpr auto choices(TablePreset) {
  return std::to_array<Choice<TablePreset>>({{"none", TablePreset::none},
                                             {"movielens", TablePreset::movielens},
                                             {"recbole", TablePreset::recbole},
                                             {"netflix", TablePreset::netflix},
                                             {"amazon_reviews", TablePreset::amazon_reviews}});
}

enum class DecimalMark { point, comma };

constexpr auto choices(DecimalMark) {
  return std::to_array<Choice<DecimalMark>>({{".", DecimalMark::point}, {",", DecimalMark::comma}});
}

enum class TimeUnit { seconds, milliseconds, microseconds, nanoseconds };

constexpr auto choices(TimeUnit) {
  return std::to_array<Choice<TimeUnit>>({{"seconds", TimeUnit::seconds},
                                          {"milliseconds", TimeUnit::milliseconds},
                                          {"microseconds", TimeUnit::microseconds},
                                          {"nanoseconds", TimeUnit::nanoseconds}});
}

// How to treat invalid rows.
enum class Unfit { reject, error };

constexpr auto choices(Unfit) {
  return std::to_array<Choice<Unfit>>({{"reject", Unfit::reject}, {"error", Unfit::error}});
}

// Files of a table and how to parse them. Defaults of absent fields come from the preset, then from the format.
struct TableConfig {
  std::string path = {};
  TablePreset preset = TablePreset::none;
  TableFormat format = TableFormat::automatic;
  std::optional<std::string> separator = {}, quote = {};
  std::optional<bool> header = {};
  std::optional<TextEncoding> encoding = {};
  DecimalMark decimal = DecimalMark::point;
  std::vector<std::string> column_names = {};

  template <class Fields> void describe(Fields& field) {
    field.required(
        "path", path, file_path(),
        "File to read, or a pattern such as parts/*.parquet, whose files are read in order of name; ** matches "
        "folders of any depth. - is standard input, which requires format.");
    field("preset", preset,
          "Defaults for the files of a public data set, recognized by name; other fields override them.");
    field("format", format,
          "File format; auto infers it from the file extension. Text formats may be compressed (.gz, .bz2, .zst).");
    field("separator", separator, "Column separator; that of the format if absent.");
    field("quote", quote, "Character that encloses values with separators or line breaks; empty for none.");
    field("header", header, "Whether the first record has the column names.");
    field("encoding", encoding,
          "Text encoding; utf-8 if absent. auto detects UTF-8, UTF-16 (by its byte order mark), GB18030 (Chinese) and "
          "windows-1252 from the first MiB, logs the result, and fails if several are possible.");
    field("decimal", decimal, "Decimal separator of numbers in text: 3.5 or 3,5.");
    field("column_names", column_names, "Column names of a file without a header; f0, f1, ... if absent.");
  }
  void check() const {
    require(!separator || !separator->empty(), "separator is empty");
    require(!quote || quote->size() < 2, "quote is '{}', expected one character or none", quote.value_or(""));
    require(!header.value_or(false) || column_names.empty(), "column_names cannot be combined with header: true");
  }
};

// Columns of a rating.
struct ColumnsConfig {
  std::optional<std::string> user = {}, item = {}, value = {}, time = {};
  std::optional<TimeUnit> time_unit = {};

  template <class Fields> void describe(Fields& field) {
    field("user", user, "Column of user ids.");
    field("item", item, "Column of item ids.");
    field("value", value, "Column of rating values; empty if there is none, then every row has the value `fill`.");
    field("time", time,
          "Column of times: numbers, or dates such as 2005-09-06 or 2005-09-06T12:30:00Z; empty if there is none.");
    field("time_unit", time_unit, "Unit of numeric times, counted from 1970-01-01 UTC; seconds if absent.");
  }
};

struct RatingsConfig {
  static constexpr double largest_value = 1e15;  // sums of squares stay far from fp32 overflow

  TableConfig table = {};
  ColumnsConfig columns = {};
  Unfit unfit = Unfit::reject;
  std::optional<double> fill = {}, minimum = {}, maximum = {};

  double least_value() const { return minimum.value_or(-largest_value); }
  double greatest_value() const { return maximum.value_or(largest_value); }

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field("columns", columns, "Names of the rating columns; a preset sets them.");
    field("unfit", unfit,
          "Invalid rows: reject writes them to the rejects file with a reason; error stops at the first.");
    field("fill", fill, "Value of rows without a value; they are invalid if absent.");
    field("minimum", minimum, "Smallest valid rating; -1e15 if absent.");
    field("maximum", maximum, "Largest valid rating; 1e15 if absent.");
  }
  void check() const {
    table.check();
    require(fill || columns.value != "", "columns.value is empty, which requires fill");
    require(least_value() <= greatest_value(), "minimum {} is above maximum {}", least_value(), greatest_value());
  }
};

// Columns of an item table.
struct ItemTableConfig {
  TableConfig table = {};
  std::optional<std::string> id = {};
  std::vector<std::string> columns = {};

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field("id", id, "Column of item ids; a preset sets it.");
    field("columns", columns, "Columns to add to the output, such as title; a preset sets some.");
  }
  void check() const { table.check(); }
};

}  // namespace sartor::datasets
