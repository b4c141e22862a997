// Resolves preset and format of a table for each file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tables/table_config.h"
#include "tables/table_files.h"

namespace sartor::datasets {

// Fully resolved layout of one file.
struct TableLayout {
  TableFormat format = TableFormat::csv;  // csv for any separator; jsonl, parquet or netflix
  std::string separator = ",";            // for csv: one or more characters
  std::string quote = "\"";               // one character or empty
  bool header = true;
  bool typed_header = false;  // column names have a type suffix, which is removed: user_id:token
  TextEncoding encoding = TextEncoding::utf8;
  std::optional<TextEncoding> otherwise = {};  // encoding of the preset's files that are not UTF-8
  std::vector<std::string> column_names = {};
};

// Throws std::invalid_argument if the format is neither in the config nor clear from the file name.
TableLayout layout_of(const TableConfig& config, const std::string& file);

// Resolves `config.columns` for a file with the columns `available`: names from the config, then from the preset's
// mapping for this file. value and time are "" if absent. Throws std::invalid_argument if user or item is not given, or
// if a column is not in the file.
ColumnsConfig rating_columns(const RatingsConfig& config, const std::string& file,
                             const std::vector<std::string>& available);

// As rating_columns, for item tables.
struct ItemColumns {
  std::string id;
  std::vector<std::string> values;
};
ItemColumns item_columns(const ItemTableConfig& config, const std::string& file,
                         const std::vector<std::string>& available);

// Throws std::invalid_argument, with the list of columns, unless `name` occurs in `available` exactly once.
void require_column(const std::string& file, const std::string& name, const std::vector<std::string>& available);

}  // namespace sartor::datasets
