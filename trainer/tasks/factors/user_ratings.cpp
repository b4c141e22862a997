#include "tasks/factors/user_ratings.h"

#include <algorithm>
#include <utility>

namespace sartor {

UserRatings read_users(const datasets::StoredRatings& ratings, int64_t first, int64_t users) {
  const auto offsets = std::span(ratings.offsets()).subspan(first, users + 1);
  const int64_t entries = offsets.back() - offsets.front();
  UserRatings read = {{}, std::vector<int32_t>(entries), std::vector<float>(entries)};
  for (const int64_t offset : offsets) read.offsets.push_back(offset - offsets.front());
  ratings.read(first, first + users, read.items, read.values);
  return read;
}

UserRatings read_users(const std::vector<const datasets::StoredRatings*>& parts, int64_t first, int64_t users) {
  std::vector<UserRatings> read;
  for (const auto* part : parts) read.push_back(read_users(*part, first, users));
  UserRatings all = {{0}, {}, {}};
  std::vector<std::pair<int32_t, float>> rated;
  for (int64_t user = 0; user < users; user++) {
    rated.clear();
    for (const auto& each : read) {
      for (int64_t at = each.offsets[user]; at < each.offsets[user + 1]; at++) {
        rated.emplace_back(each.items[at], each.values[at]);
      }
    }
    std::ranges::sort(rated);
    for (const auto& [item, value] : rated) {
      all.items.push_back(item);
      all.values.push_back(value);
    }
    all.offsets.push_back(std::ssize(all.items));
  }
  return all;
}

}  // namespace sartor
