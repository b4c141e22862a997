// What a table's preset and format stand for, file by file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tables/table_config.h"
#include "tables/table_files.h"

namespace sartor::datasets {

// The form of one file, with nothing left open.
struct TableLayout {
  TableFormat format = TableFormat::csv;  // csv for all that separators divide, or jsonl, parquet, netflix
  std::string separator = ",";            // of csv: one character or more
  std::string quote = "\"";               // one character or none
  bool header = true;
  bool typed_header = false;  // names carry a type that is no part of them: user_id:token
  TextEncoding encoding = TextEncoding::utf8;
  std::optional<TextEncoding> otherwise = {};  // what files of the preset are in that are not UTF-8
  std::vector<std::string> column_names = {};
};

// Throws std::invalid_argument where neither the config nor the file's name says the format.
TableLayout layout_of(const TableConfig& config, const std::string& file);

// Names for `config.columns` in a file with the columns `available`: the config's own, then those of the preset's
// mapping that fits the file best. What stays open is an error, save value and time, which are then "".
ColumnsConfig rating_columns(const RatingsConfig& config, const std::string& file,
                             const std::vector<std::string>& available);

// The same for item tables.
struct ItemColumns {
  std::string id;
  std::vector<std::string> values;
};
ItemColumns item_columns(const ItemTableConfig& config, const std::string& file,
                         const std::vector<std::string>& available);

// Throws std::invalid_argument unless `name` stands among `available` exactly once; says which names there are.
void require_column(const std::string& file, const std::string& name, const std::vector<std::string>& available);

}  // namespace sartor::datasets
