// What a config may say about a table to read, and about the ratings in it.
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

// What becomes of rows that cannot be used.
enum class Unfit { reject, error };

constexpr auto choices(Unfit) {
  return std::to_array<Choice<Unfit>>({{"reject", Unfit::reject}, {"error", Unfit::error}});
}

// Where a table lies and how its bytes become columns. What is absent comes from the preset, then from the format.
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
    field.required("path", path, file_path(),
                   "File to read, or a pattern such as parts/*.parquet: its files in order of name; ** stands for "
                   "folders of any depth. - is standard input, which needs a format.");
    field("preset", preset, "Public data set whose files are known by name; other fields override what it says.");
    field("format", format,
          "Form of the file; auto goes by its name, to which .gz, .bz2 or .zst may be added for text forms.");
    field("separator", separator, "Text between two columns, where it is not the format's.");
    field("quote", quote, "Character around values that hold separators or line breaks; empty for none.");
    field("header", header, "Whether the first record names the columns.");
    field("encoding", encoding,
          "Encoding of text; utf-8 by default. auto tells it from the first MiB: UTF-8, UTF-16 by its byte order mark, "
          "GB18030 where the characters are common Chinese ones, windows-1252 where that alone is possible; it says "
          "which, and stops where several are.");
    field("decimal", decimal, "Mark before the fraction of numbers in text: 3.5 or 3,5.");
    field("column_names", column_names, "Names of the columns where no header does; f0, f1, ... by default.");
  }
  void check() const {
    require(!separator || !separator->empty(), "separator is empty");
    require(!quote || quote->size() < 2, "quote is '{}', expected one character or none", quote.value_or(""));
    require(!header.value_or(false) || column_names.empty(), "column_names are given although header is true");
  }
};

// Which columns hold a rating.
struct ColumnsConfig {
  std::optional<std::string> user = {}, item = {}, value = {}, time = {};
  std::optional<TimeUnit> time_unit = {};

  template <class Fields> void describe(Fields& field) {
    field("user", user, "Column of user ids.");
    field("item", item, "Column of item ids.");
    field("value", value, "Column of values; empty for none, then each row has the value `fill`.");
    field("time", time, "Column of times: numbers, or dates as 2005-09-06 or 2005-09-06T12:30:00Z; empty for none.");
    field("time_unit", time_unit, "What numbers in the time column count, from 1970 on; seconds by default.");
  }
};

struct RatingsConfig {
  static constexpr double largest_value = 1e15;  // far below what makes a float's sums of squares overflow

  TableConfig table = {};
  ColumnsConfig columns = {};
  Unfit unfit = Unfit::reject;
  std::optional<double> fill = {}, minimum = {}, maximum = {};

  double least_value() const { return minimum.value_or(-largest_value); }
  double greatest_value() const { return maximum.value_or(largest_value); }

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field("columns", columns, "Names of the columns that hold a rating; a preset knows them.");
    field("unfit", unfit, "Rows that cannot be used are rejected, with the reason, or the first of them is an error.");
    field("fill", fill, "Value of rows that have none; without it they are unfit.");
    field("minimum", minimum, "Least value, -1e15 if absent; rows below are invalid.");
    field("maximum", maximum, "Greatest value, 1e15 if absent; rows above are invalid.");
  }
  void check() const {
    table.check();
    require(fill || columns.value != "", "columns.value is empty, but no value for all rows is given as fill");
    require(least_value() <= greatest_value(), "minimum {} is above maximum {}", least_value(), greatest_value());
  }
};

// Which columns of an item table to keep beside its id.
struct ItemTableConfig {
  TableConfig table = {};
  std::optional<std::string> id = {};
  std::vector<std::string> columns = {};

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field("id", id, "Column of item ids; a preset knows it.");
    field("columns", columns, "Columns to keep, such as title; a preset knows some.");
  }
  void check() const { table.check(); }
};

}  // namespace sartor::datasets
