// Lists of ids from a table column.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "runtime/collective.h"
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

// Calls `use` for each id in table order. Throws std::invalid_argument if a file is missing, cannot be parsed or lacks
// the column, or a row has no id.
void for_each_id(const IdTableConfig& config, const std::function<void(std::string_view)>& use);

// The same without repeated ids; a warning gives their number and the first one.
void for_each_distinct_id(const IdTableConfig& config, const std::function<void(std::string_view)>& use);

// For tables that every rank reads: with several ranks, throws std::invalid_argument if a file can be read only once.
void require_readable_by_all(const Collective& ranks, const datasets::TableConfig& config);

}  // namespace sartor::inference
