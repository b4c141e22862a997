// Columns of an item table, added to an output with items.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "records/item_table.h"
#include "schema/log.h"
#include "tables/table_writer.h"

namespace sartor::inference {

// Has no columns if there is no item table.
class ItemDetails {
 public:
  // Logs a warning for invalid and repeated rows of the table, which are ignored.
  explicit ItemDetails(const std::optional<datasets::ItemTableConfig>& config) {
    if (!config) return;
    datasets::Rejects rejects;
    table_.emplace(*config, rejects);
    for (const auto& [reason, count] : rejects.counts()) {
      log_warning("{}: {} rows are ignored: {}", config->table.path, count, reason);
    }
  }

  // Throws std::invalid_argument if `columns` already has one of the names.
  void append_specs(std::vector<datasets::ColumnSpec>& columns) const {
    if (!table_) return;
    for (const auto& name : table_->columns()) {
      require(std::ranges::find(columns, name, &datasets::ColumnSpec::name) == columns.end(),
              "items.columns: the output would have two columns {}", name);
      columns.push_back({name, datasets::ColumnType::text});
    }
  }

  // The text of each column for these items; "" for items that are not in the table.
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
