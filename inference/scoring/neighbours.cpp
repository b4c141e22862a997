#include "scoring/neighbours.h"

#include <algorithm>

namespace sartor::inference {

Neighbours::Neighbours(cuda::Context& context, cuda::Rows<const float> rows, int64_t first, int64_t end,
                       const RowRankerOptions& options)
    : rows_(rows), first_(first) {
  if (first < end)
    ranker_.emplace(context, cuda::Rows<const float>{rows.row(first), end - first, rows.columns}, options);
}

RankedItems Neighbours::find(std::span<const int32_t> queries, int64_t k) {
  const int64_t count = std::ssize(queries);
  RankedItems found = {k, std::vector<int32_t>(count * k, -1), std::vector<float>(count * k)};
  if (!ranker_) return found;
  std::vector<float> chosen;
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> self;  // excludes each query by index, as other rows may have the same cosine
  for (const int32_t query : queries) {
    chosen.insert(chosen.end(), rows_.row(query), rows_.row(query) + rows_.columns);
    if (first_ <= query && query < first_ + ranker_->size()) self.push_back(static_cast<int32_t>(query - first_));
    offsets.push_back(std::ssize(self));
  }
  const int64_t of_part = std::min(k, ranker_->size());
  const auto ranked =
      ranker_->rank({chosen.data(), count, rows_.columns}, {count, offsets.data(), self.data()}, of_part);
  for (int64_t query = 0; query < count; query++) {
    for (int64_t at = 0; at < of_part; at++) {
      const int32_t row = ranked.items[query * of_part + at];
      if (row < 0) break;
      found.items[query * k + at] = static_cast<int32_t>(first_ + row);
      found.scores[query * k + at] = ranked.scores[query * of_part + at];
    }
  }
  return found;
}

}  // namespace sartor::inference
