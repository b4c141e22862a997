#include "scoring/id_table.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "tables/table_reader.h"

namespace sartor::inference {

void for_each_id(const IdTableConfig& config, const std::function<void(std::string_view)>& use) {
  datasets::Rejects rejects;
  datasets::TableReader reader(config.table, rejects);
  reader.select({{config.column}});
  for (datasets::TableBatch batch; reader.next(batch);) {
    const auto& ids = static_cast<const arrow::StringArray&>(*batch.columns->column(0));
    for (int64_t row = 0; row < ids.length(); row++) {
      require(!ids.GetView(row).empty(), "{}: row {}: no id in column {}", batch.file, batch.rows[row], config.column);
      use(ids.GetView(row));
    }
  }
  require(rejects.total() == 0, "{}: {} broken rows", config.table.path, rejects.total());
}

}  // namespace sartor::inference
