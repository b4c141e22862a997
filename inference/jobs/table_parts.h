// Parts that are tables and their concatenation.
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

// Columns of some rows, with the memory that TableWriter's views refer to.
class Columns {
 public:
  void add(std::span<const int64_t> numbers) { values_.emplace_back(numbers); }  // must outlive this object
  void add(std::vector<float> numbers) { values_.emplace_back(floats_.emplace_back(std::move(numbers))); }
  void add(std::vector<std::string_view> texts) { values_.emplace_back(texts_.emplace_back(std::move(texts))); }

  const std::vector<datasets::ColumnValues>& values() const { return values_; }

 private:
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<std::string_view>> texts_;
  std::vector<datasets::ColumnValues> values_;
};

// Concatenates tables with these columns to `output` and returns the number of rows. Parts in the output's format are
// copied, if it is a text format; others are parsed and written again. Calls `between` regularly. Throws
// std::invalid_argument if a part is invalid.
int64_t join_tables(const std::vector<std::filesystem::path>& parts, const std::vector<datasets::ColumnSpec>& columns,
                    const std::filesystem::path& output, const std::function<void()>& between);

}  // namespace sartor::inference
