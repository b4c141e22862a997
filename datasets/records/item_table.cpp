#include "records/item_table.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "tables/presets.h"
#include "tables/table_reader.h"

namespace sartor::datasets {

ItemTable::ItemTable(const ItemTableConfig& config, Rejects& rejects) {
  TableReader reader(config.table, rejects);
  const ItemColumns names = item_columns(config, reader.file(), reader.columns());
  columns_ = names.values;
  std::vector<TableColumn> selected = {{names.id}};
  for (const std::string& name : columns_) selected.push_back({name});
  reader.select(selected);

  for (TableBatch batch; reader.next(batch);) {
    const auto text = [&](size_t column, int64_t row) {
      return static_cast<const arrow::StringArray&>(*batch.columns->column(column)).GetView(row);
    };
    for (int64_t row = 0; row < batch.columns->num_rows(); row++) {
      const std::string id(text(0, row));
      const char* fault = id.empty()                 ? "item is missing"
                          : id.find('\0') != id.npos ? "item holds a zero byte"
                          : values_.contains(id)     ? "item is listed twice"
                                                     : nullptr;
      if (fault) {
        rejects.add(batch.file, batch.rows[row], fault, id);
        continue;
      }
      std::vector<std::string>& values = values_[id];
      for (size_t column = 0; column < columns_.size(); column++) values.emplace_back(text(column + 1, row));
    }
  }
}

std::string_view ItemTable::value(std::string_view id, size_t column) const {
  const auto found = values_.find(id);
  return found == values_.end() ? std::string_view() : found->second[column];
}

}  // namespace sartor::datasets
