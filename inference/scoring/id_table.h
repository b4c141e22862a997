// Lists of ids from a table column.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/collective.h"
#include "schema/fields.h"
#include "storage/id_map.h"
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

// Which of `ids` may appear in results: those in `allow`, or all without it, that are not in `deny`.
struct PermittedIds {
  std::vector<bool> flags;  // by index
  int64_t unknown = 0;      // number of ids of the tables that are not among `ids`
};
PermittedIds permitted_ids(const std::optional<IdTableConfig>& allow, const std::optional<IdTableConfig>& deny,
                           const datasets::IdMap& ids);

// For tables that every rank reads: with several ranks, throws std::invalid_argument if a file can be read only once.
void require_readable_by_all(const Collective& ranks, const datasets::TableConfig& config);

}  // namespace sartor::inference
