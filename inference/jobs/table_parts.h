// Parts that are tables, and the table that they become.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "tables/table_writer.h"

namespace sartor::inference {

// Some rows of a table, column by column, with the memory that TableWriter's views look at.
class Columns {
 public:
  void add(std::span<const int64_t> numbers) { values_.emplace_back(numbers); }  // which must outlive this
  void add(std::vector<float> numbers) { values_.emplace_back(floats_.emplace_back(std::move(numbers))); }
  void add(std::vector<std::string_view> texts) { values_.emplace_back(texts_.emplace_back(std::move(texts))); }

  const std::vector<datasets::ColumnValues>& values() const { return values_; }

 private:
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<std::string_view>> texts_;
  std::vector<datasets::ColumnValues> values_;
};

// Writes `output` from tables that all have these columns, in their order, and returns its rows. `between` is called
// after every batch. Throws std::invalid_argument if a part is broken.
int64_t join_tables(const std::vector<std::filesystem::path>& parts, const std::vector<datasets::ColumnSpec>& columns,
                    const std::filesystem::path& output, const std::function<void()>& between);

}  // namespace sartor::inference
