// What an item table says, as columns beside the items of an output.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "records/item_table.h"
#include "schema/log.h"
#include "tables/table_writer.h"

namespace sartor::inference {

// No columns where there is no table.
class ItemDetails {
 public:
  // Rows of the table that are invalid or repeated are left out, with a warning.
  explicit ItemDetails(const std::optional<datasets::ItemTableConfig>& config) {
    if (!config) return;
    datasets::Rejects rejects;
    table_.emplace(*config, rejects);
    for (const auto& [reason, count] : rejects.counts()) {
      log_warning("{}: {} rows are left out: {}", config->table.path, count, reason);
    }
  }

  // Throws std::invalid_argument where a name is there already.
  void append_specs(std::vector<datasets::ColumnSpec>& columns) const {
    if (!table_) return;
    for (const auto& name : table_->columns()) {
      require(std::ranges::find(columns, name, &datasets::ColumnSpec::name) == columns.end(),
              "items.columns: the output would have two columns {}", name);
      columns.push_back({name, datasets::ColumnType::text});
    }
  }

  // One column of text each, "" for items that the table lacks.
  std::vector<std::vector<std::string_view>> of(const std::vector<std::string_view>& items) const {
    std::vector<std::vector<std::string_view>> columns(table_ ? table_->columns().size() : 0);
    for (size_t column = 0; column < columns.size(); column++) {
      for (const auto item : items) columns[column].push_back(table_->value(item, column));
    }
    return columns;
  }

 private:
  std::optional<datasets::ItemTable> table_;
};

}  // namespace sartor::inference
