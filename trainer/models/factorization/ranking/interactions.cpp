#include "models/factorization/ranking/interactions.h"

#include <span>

#include "base/require.h"
#include "models/factorization/row_shares.h"

namespace sartor {

namespace {

// Appends users whose lists begin at `offsets` of `items`.
void append(std::span<const int64_t> offsets, const std::vector<int32_t>& items, const std::vector<float>& values,
            std::optional<float> threshold, Interactions& chosen) {
  for (size_t user = 0; user + 1 < offsets.size(); user++) {
    for (int64_t at = offsets[user] - offsets[0]; at < offsets[user + 1] - offsets[0]; at++) {
      if (!threshold || values[at] >= *threshold) chosen.items.push_back(items[at]);
    }
    chosen.offsets.push_back(std::ssize(chosen.items));
  }
}

}  // namespace

Interactions read_interactions(const datasets::Prepared& data, std::optional<float> threshold) {
  const std::span offsets = data.train.offsets();
  Interactions chosen;
  chosen.items.reserve(data.train.size());
  read_rows(data.train, 0, data.users, [&](int64_t, const auto& items, const auto& values) {
    const int64_t first = std::ssize(chosen.offsets) - 1, last = data.train.rows_within(first, std::ssize(items));
    append(offsets.subspan(first, last - first + 1), items, values, threshold, chosen);
  });
  require(!chosen.items.empty(), "{}: there are no training ratings{}", data.file.path().string(),
          threshold ? " of at least model.threshold" : "");
  return chosen;
}

Interactions interactions_of(const UserRatings& ratings, std::optional<float> threshold) {
  Interactions chosen;
  append(ratings.offsets, ratings.items, ratings.values, threshold, chosen);
  return chosen;
}

std::vector<int64_t> count_items(const Interactions& chosen, int64_t items) {
  std::vector<int64_t> counts(items);
  for (const int32_t item : chosen.items) counts[item]++;
  return counts;
}

}  // namespace sartor
