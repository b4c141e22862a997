// Texts of a table for inference, in windows of rows.
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
  std::vector<std::string> keep;    // columns to copy
  std::optional<std::string> id;    // column of ids; rows without an id are invalid
  int64_t rows_per_part = 5'000;
  int64_t window = 5'000;     // maximum rows per window; long texts give smaller windows
  bool may_be_blank = false;  // whether rows with a blank text are valid
  bool places = false;        // whether windows name the rows' files
  bool shared = false;        // whether others read some of the parts: then what follows a part is not parsed ahead
};

// Consecutive rows of one part. Texts are valid UTF-8 and not blank, unless they may be.
struct TextWindow {
  int64_t part = 0;
  bool ends_part = false;
  std::vector<int64_t> rows;                 // see TextRecords::row()
  datasets::StringColumn texts, pairs, ids;  // pairs and ids: empty if not in the options
  std::vector<datasets::StringColumn> kept;  // one column for each of `keep`
  std::vector<TextPlace> places = {};        // of the rows; empty if not in the options
  std::vector<UnfitRow> unfit = {};          // invalid rows in the window

  int64_t size() const { return std::ssize(rows); }
};

// Reads parts of a table; each has rows_per_part records, including invalid ones.
class TextRows {
 public:
  // Reads the parts that next_part() gives, in ascending order, until one is beyond the end of the table; each has at
  // least one window. next_part() is called when the last window of the part before has been given. All functions throw
  // std::invalid_argument if a file is missing, cannot be parsed or lacks a column, or a template is invalid.
  TextRows(TextRowsOptions options, std::function<int64_t()> next_part);

  // Replaces `window` with the next rows; returns false at the end.
  bool next(TextWindow& window);

  int64_t parts() const;  // total number; valid at the end

 private:
  bool open_part();
  void take(TextWindow& window) const;

  TextRowsOptions options_;
  std::function<int64_t()> next_part_;
  TextRecords records_;
  std::optional<int64_t> part_;  // current part
};

}  // namespace sartor::text
