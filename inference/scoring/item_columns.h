// What an item table says, as columns beside the items of an output.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "tables/item_table.h"
#include "tables/table_writer.h"

namespace sartor::inference {

// No columns where there is no table.
class ItemColumns {
 public:
  explicit ItemColumns(const std::optional<datasets::ItemTableConfig>& config) {
    datasets::Rejects rejects;
    if (config) table_.emplace(*config, rejects);
  }

  void append_specs(std::vector<datasets::ColumnSpec>& columns) const {
    if (!table_) return;
    for (const auto& name : table_->columns()) columns.push_back({name, datasets::ColumnType::text});
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
