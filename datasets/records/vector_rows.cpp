#include "records/vector_rows.h"

#include <arrow/record_batch.h>
#include <arrow/scalar.h>

#include <algorithm>
#include <cmath>

#include "records/cells.h"
#include "schema/messages.h"
#include "tables/table_reader.h"

namespace sartor::datasets {
namespace {

std::string place(const TableBatch& batch, int64_t row) {
  return fmt::format("{}: row {}", batch.file, batch.rows[row]);
}

void add_id(const TableBatch& batch, int64_t row, const std::string& column, IdMap& ids) {
  const auto id = as<arrow::StringArray>(*batch.columns->column(0)).GetView(row);
  require(!id.empty(), "{}: column {} has no id", place(batch, row), shown(column));
  require(id.find('\0') == id.npos, "{}: the id in column {} holds a zero byte", place(batch, row), shown(column));
  const int64_t before = ids.size();
  require(ids.insert(id) == before, "{}: the id {} occurs twice", place(batch, row), shown(id));
}

float value_of(const TableBatch& batch, int64_t row, int column, const std::string& name, DecimalMark mark) {
  const arrow::Array& cells = *batch.columns->column(column);
  const auto number = number_at(cells, row, mark);
  if (number && std::abs(*number) <= RatingsConfig::largest_value) return static_cast<float>(*number);
  const auto scalar = cells.GetScalar(row);
  const std::string found = cells.IsNull(row) || !scalar.ok() ? "nothing" : shown((*scalar)->ToString());
  require(false, "{}: column {} has {}, expected a number from -1e15 to 1e15", place(batch, row), shown(name), found);
  return 0;
}

}  // namespace

void VectorRowsConfig::check() const {
  table.check();
  require(!columns.empty(), "columns is empty, expected one or more");
  for (const auto& name : columns) {
    require(std::ranges::count(columns, name) == 1, "columns has {} twice", shown(name));
    require(name != id, "columns has {}, which is the column of ids", shown(name));
  }
}

VectorRows read_vector_rows(const VectorRowsConfig& config) {
  Rejects rejects(Unfit::error);
  TableReader reader(config.table, rejects);
  std::vector<TableColumn> selected = {{config.id}};
  for (const auto& name : config.columns) selected.push_back({name, /*text=*/false});
  reader.select(selected);
  VectorRows rows;
  for (TableBatch batch; reader.next(batch);) {
    for (int64_t row = 0; row < batch.columns->num_rows(); row++) {
      add_id(batch, row, config.id, rows.ids);
      for (size_t column = 0; column < config.columns.size(); column++) {
        const auto& name = config.columns[column];
        rows.values.push_back(value_of(batch, row, static_cast<int>(column) + 1, name, config.table.decimal));
      }
    }
  }
  return rows;
}

}  // namespace sartor::datasets
