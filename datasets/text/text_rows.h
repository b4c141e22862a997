// Texts of a table to be scored, some at a time, with what stands beside them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "records/string_column.h"
#include "tables/table_config.h"
#include "text/text_records.h"

namespace sartor::text {

struct TextRowsOptions {
  datasets::TableConfig source;
  std::string text = "{text}";      // template
  std::optional<std::string> pair;  // template of a second text
  std::vector<std::string> keep;    // columns that come along
  std::optional<std::string> id;    // column without which a row is unfit
  int64_t rows_per_part = 5'000;
  int64_t window = 5'000;  // most rows at once; fewer of long texts
};

// Some rows of one part. Texts are valid UTF-8 and not only whitespace.
struct TextWindow {
  int64_t part = 0;
  bool ends_part = false;
  std::vector<int64_t> rows;                 // as TextRecords::row()
  datasets::StringColumn texts, pairs, ids;  // the last two: none if the options have none
  std::vector<datasets::StringColumn> kept;  // a column for each of keep
  std::vector<UnfitRow> unfit = {};          // met beside these

  int64_t size() const { return std::ssize(rows); }
};

// Reads a table in parts of rows_per_part records, unfit ones included.
class TextRows {
 public:
  // Only parts for which `wanted` holds are looked at. Each of those gives at least one window, in ascending order.
  // All functions throw std::invalid_argument where a file is missing, broken or lacks a column, or a template is none.
  TextRows(TextRowsOptions options, std::function<bool(int64_t part)> wanted);

  // Replaces `window` by the next rows; false at the end.
  bool next(TextWindow& window);

  int64_t parts() const;  // in all; known at the end

 private:
  void take(TextWindow& window) const;

  TextRowsOptions options_;
  std::function<bool(int64_t)> wanted_;
  TextRecords records_;
  std::optional<int64_t> part_;  // that has been begun
};

}  // namespace sartor::text
