#include "jobs/table_parts.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "base/require.h"
#include "tables/table_reader.h"

namespace sartor::inference {
namespace {

// Copies the columns of a batch for TableWriter.
Columns columns_of(const arrow::RecordBatch& batch) {
  Columns columns;
  for (const auto& column : batch.columns()) {
    if (column->type_id() == arrow::Type::STRING) {
      const auto& texts = static_cast<const arrow::StringArray&>(*column);
      std::vector<std::string_view> views(texts.length());
      for (int64_t row = 0; row < texts.length(); row++) views[row] = texts.GetView(row);
      columns.add(std::move(views));
    } else if (column->type_id() == arrow::Type::INT64) {
      const auto& numbers = static_cast<const arrow::Int64Array&>(*column);
      columns.add(std::span(numbers.raw_values(), numbers.length()));
    } else {  // TableReader converts float columns to double
      const auto* numbers = static_cast<const arrow::DoubleArray&>(*column).raw_values();
      columns.add(std::vector<float>(numbers, numbers + column->length()));
    }
  }
  return columns;
}

void append_rows(datasets::TableWriter& whole, const std::filesystem::path& part,
                 const std::vector<datasets::TableColumn>& columns, const std::function<void()>& between) {
  datasets::TableReader reader({.path = part});
  reader.select(columns);
  for (datasets::TableBatch batch; reader.next(batch);) {
    between();
    require(batch.bad.empty(), "{} is broken: {}", part.string(), batch.bad.empty() ? "" : batch.bad[0].reason);
    whole.append(columns_of(*batch.columns).values());
  }
}

}  // namespace

int64_t join_tables(const std::vector<std::filesystem::path>& parts, const std::vector<datasets::ColumnSpec>& columns,
                    const std::filesystem::path& output, const std::function<void()>& between) {
  datasets::TableWriter whole(output, columns, /*overwrite=*/true);
  std::vector<datasets::TableColumn> selected;
  for (const auto& [name, type] : columns) selected.push_back({name, type == datasets::ColumnType::text});
  for (const auto& part : parts) {
    if (whole.can_append_file(part)) {
      whole.append_file(part, between);
    } else {
      append_rows(whole, part, selected, between);
    }
  }
  whole.finish();
  return whole.rows();
}

}  // namespace sartor::inference
