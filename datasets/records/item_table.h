// Columns of an item table by item id, such as titles for recommendations.
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
  // Reads config.columns of all items into memory. Rows without an id or with the id of an earlier row go to `rejects`.
  // Throws std::invalid_argument as TableReader does.
  ItemTable(const ItemTableConfig& config, Rejects& rejects);

  const std::vector<std::string>& columns() const { return columns_; }
  size_t size() const { return values_.size(); }

  // Text in columns()[column]; "" for an unknown item.
  std::string_view value(std::string_view id, size_t column) const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::vector<std::string> columns_;
  std::unordered_map<std::string, std::vector<std::string>, Hash, std::equal_to<>> values_;
};

}  // namespace sartor::datasets
