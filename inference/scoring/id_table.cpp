#include "scoring/id_table.h"

#include <arrow/array.h>
#include <arrow/record_batch.h>

#include "schema/log.h"
#include "tables/table_files.h"
#include "tables/table_reader.h"

namespace sartor::inference {

namespace {

// Receives an id and its place.
using Visit = std::function<void(std::string_view id, const std::string& file, int64_t row)>;

void visit_ids(const IdTableConfig& config, const Visit& visit) {
  datasets::Rejects rejects(datasets::Unfit::error);
  datasets::TableReader reader(config.table, rejects);
  reader.select({{config.column}});
  for (datasets::TableBatch batch; reader.next(batch);) {
    const auto& ids = static_cast<const arrow::StringArray&>(*batch.columns->column(0));
    for (int64_t row = 0; row < ids.length(); row++) {
      const auto id = ids.GetView(row);
      require(!id.empty(), "{}: row {}: column {} has no id", batch.file, batch.rows[row], config.column);
      require(id.find('\0') == id.npos, "{}: row {}: the id in column {} holds a zero byte", batch.file,
              batch.rows[row], config.column);
      visit(id, batch.file, batch.rows[row]);
    }
  }
}

}  // namespace

void for_each_id(const IdTableConfig& config, const std::function<void(std::string_view)>& use) {
  visit_ids(config, [&](std::string_view id, const std::string&, int64_t) { use(id); });
}

void for_each_distinct_id(const IdTableConfig& config, const std::function<void(std::string_view)>& use) {
  datasets::IdMap ids(config.column);
  int64_t repeated = 0;
  std::string first;
  visit_ids(config, [&](std::string_view id, const std::string& file, int64_t row) {
    const int64_t before = ids.size();
    if (ids.insert(id) == before) return use(id);
    if (repeated++ == 0) first = fmt::format("{} in row {} of {}", id, row, file);
  });
  if (repeated > 0) log_warning("{} repeated ids are ignored; the first is {}", repeated, first);
}

PermittedIds permitted_ids(const std::optional<IdTableConfig>& allow, const std::optional<IdTableConfig>& deny,
                           const datasets::IdMap& ids) {
  PermittedIds permitted = {std::vector<bool>(ids.size(), !allow)};
  const auto mark = [&](const std::optional<IdTableConfig>& table, bool value) {
    if (!table) return;
    for_each_id(*table, [&](std::string_view id) {
      const int32_t index = ids.find(id);
      if (index < 0) permitted.unknown++;
      if (index >= 0) permitted.flags[index] = value;
    });
  };
  mark(allow, true);
  mark(deny, false);
  return permitted;
}

void require_readable_by_all(const Collective& ranks, const datasets::TableConfig& config) {
  if (ranks.size() > 1) datasets::require_readable_twice(config, "by the other ranks");
}

}  // namespace sartor::inference
