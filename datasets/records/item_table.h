// What a table says of items, looked up by id: titles for a list of recommendations.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tables/rejects.h"
#include "tables/table_config.h"

namespace sartor::datasets {

class ItemTable {
 public:
  // Reads config.columns of all items into memory. Rows without id, and all but the first with the same id, go to
  // `rejects`. Throws std::invalid_argument as TableReader does.
  ItemTable(const ItemTableConfig& config, Rejects& rejects);

  const std::vector<std::string>& columns() const { return columns_; }
  size_t size() const { return values_.size(); }

  // Value of columns()[column], as text; "" for an unknown item.
  std::string_view value(std::string_view id, size_t column) const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::vector<std::string> columns_;
  std::unordered_map<std::string, std::vector<std::string>, Hash, std::equal_to<>> values_;
};

}  // namespace sartor::datasets
