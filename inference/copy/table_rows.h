// Rows of a table, collected column by column.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "records/string_column.h"
#include "tables/table_writer.h"

namespace sartor::inference {

// Columns of int64, float64 and text. Values are added in the order of the columns.
class TableRows {
 public:
  explicit TableRows(const std::vector<datasets::ColumnSpec>& columns) {
    for (const auto& [name, type] : columns) {
      if (type == datasets::ColumnType::text) {
        columns_.emplace_back(datasets::StringColumn());
      } else if (type == datasets::ColumnType::int64) {
        columns_.emplace_back(std::vector<int64_t>());
      } else {
        columns_.emplace_back(std::vector<double>());
      }
    }
  }

  void add(int64_t value) { std::get<std::vector<int64_t>>(next()).push_back(value); }
  void add(double value) { std::get<std::vector<double>>(next()).push_back(value); }
  void add(std::string_view value) { std::get<datasets::StringColumn>(next()).push_back(value); }

  // Appends all rows to the table and removes them.
  void move_to(datasets::TableWriter& table) {
    std::vector<std::vector<std::string_view>> views;
    views.reserve(columns_.size());
    std::vector<datasets::ColumnValues> values;
    for (const auto& column : columns_) {
      std::visit(
          [&]<class Column>(const Column& each) {
            if constexpr (std::is_same_v<Column, datasets::StringColumn>) {
              values.emplace_back(std::span<const std::string_view>(views.emplace_back(each.views())));
            } else {
              values.emplace_back(std::span(each));
            }
          },
          column);
    }
    table.append(values);
    for (auto& column : columns_) std::visit([](auto& each) { each.clear(); }, column);
  }

 private:
  using Column = std::variant<std::vector<int64_t>, std::vector<double>, datasets::StringColumn>;

  Column& next() {
    auto& column = columns_[at_];
    at_ = (at_ + 1) % columns_.size();
    return column;
  }

  std::vector<Column> columns_;
  size_t at_ = 0;
};

}  // namespace sartor::inference
