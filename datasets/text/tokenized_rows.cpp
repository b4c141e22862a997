#include "text/tokenized_rows.h"

#include <algorithm>

namespace sartor::text {

void RowCollector::add_row(std::span<const int32_t> ids, Tokens row) {
  row.begin = scratch_.append(ids);
  row.length = static_cast<int32_t>(ids.size());
  row.unknown = unknown_ ? static_cast<int32_t>(std::ranges::count(ids, *unknown_)) : 0;
  found_.rows.push_back(row);
}

void RowCollector::end_text(int64_t source, std::optional<float> weight) {
  if (weight) found_.weights.push_back(*weight);
  found_.sources.push_back(source);
  found_.begins.push_back(std::ssize(found_.rows));
}

}  // namespace sartor::text
