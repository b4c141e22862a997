#include "copy/review_file.h"

#include <algorithm>

#include "base/random.h"
#include "copy/table_rows.h"

namespace sartor::inference {

using datasets::ColumnType;

void ReviewSample::add(const CopyRecord& record) {
  const std::pair key(random_bits(static_cast<uint64_t>(seed_), static_cast<uint64_t>(record.row)), record.row);
  if (record.first_of_row) {
    rows_.emplace(key, Row{record.row, std::string(record.id), std::string(record.prompt), {}});
    if (std::ssize(rows_) > size_) rows_.erase(std::prev(rows_.end()));
  }
  const auto found = rows_.find(key);
  if (found == rows_.end() || record.fate != Fate::written) return;
  found->second.texts.push_back({record.variant, std::string(record.text), std::string(record.rejected)});
}

void ReviewSample::write(const std::filesystem::path& path, bool has_id) const {
  std::vector<datasets::ColumnSpec> columns = {{"\xEF\xBB\xBFrow", ColumnType::int64}};  // with the byte order mark
  if (has_id) columns.push_back({"id", ColumnType::text});
  columns.push_back({"variant", ColumnType::int64});
  for (const auto* name : {"prompt", "text", "rejected", "approved", "comment"}) {
    columns.push_back({name, ColumnType::text});
  }
  std::vector<const Row*> sorted;
  for (const auto& [key, row] : rows_) sorted.push_back(&row);
  std::ranges::sort(sorted, {}, &Row::row);
  TableRows rows(columns);
  for (const auto* row : sorted) {
    for (const auto& [variant, text, rejected] : row->texts) {
      rows.add(row->row);
      if (has_id) rows.add(std::string_view(row->id));
      rows.add(variant);
      for (const std::string_view value : {std::string_view(row->prompt), std::string_view(text),
                                           std::string_view(rejected), std::string_view(), std::string_view()}) {
        rows.add(value);
      }
    }
  }
  datasets::TableWriter table(path, columns, /*overwrite=*/true);
  rows.move_to(table);
  table.finish();
}

}  // namespace sartor::inference
