// Vectors with ids from the columns of a table.
#pragma once

#include <string>
#include <vector>

#include "schema/fields.h"
#include "storage/id_map.h"
#include "tables/table_config.h"

namespace sartor::datasets {

struct VectorRowsConfig {
  TableConfig table;
  std::string id;
  std::vector<std::string> columns;

  template <class Fields> void describe(Fields& field) {
    table.describe(field);
    field.required("id", id, "Column of ids, which must be distinct.");
    field.required("columns", columns, "Columns of numbers, which are the elements of the vectors.");
  }
  void check() const;
};

struct VectorRows {
  IdMap ids{"ids"};
  std::vector<float> values;  // (ids, columns)
};

// Throws std::invalid_argument with file, row and column if an id is missing or occurs twice, or if a value is not a
// number of magnitude at most RatingsConfig::largest_value.
VectorRows read_vector_rows(const VectorRowsConfig& config);

}  // namespace sartor::datasets
