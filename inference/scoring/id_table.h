// Ids out of a column of any table.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "schema/fields.h"
#include "tables/table_config.h"

namespace sartor::inference {

struct IdTableConfig {
  datasets::TableConfig table;
  std::string column;

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field.required("column", column, "Column of ids.");
  }
  void check() const { table.check(); }
};

// Calls `use` for each id, in the order of the table. Throws std::invalid_argument for a file that is missing or broken
// or lacks the column, and for a row without an id.
void for_each_id(const IdTableConfig& config, const std::function<void(std::string_view)>& use);

// The same, each id once: a warning counts those that come again and names the first.
void for_each_distinct_id(const IdTableConfig& config, const std::function<void(std::string_view)>& use);

}  // namespace sartor::inference
