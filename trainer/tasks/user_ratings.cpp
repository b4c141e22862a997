#include "tasks/user_ratings.h"

#include <algorithm>

namespace sartor {

UserRatings read_users(const datasets::StoredRatings& ratings, int64_t first, int64_t users) {
  const auto offsets = std::span(ratings.offsets()).subspan(first, users + 1);
  const int64_t entries = offsets.back() - offsets.front();
  UserRatings read = {{}, std::vector<int32_t>(entries), std::vector<float>(entries)};
  for (const int64_t offset : offsets) read.offsets.push_back(offset - offsets.front());
  ratings.read(first, first + users, read.items, read.values);
  return read;
}

UserRatings read_items_of(const std::vector<const datasets::StoredRatings*>& parts, int64_t first, int64_t users) {
  std::vector<UserRatings> read;
  for (const auto* part : parts) read.push_back(read_users(*part, first, users));
  UserRatings all = {{0}, {}, {}};
  for (int64_t user = 0; user < users; user++) {
    const auto begin = std::ssize(all.items);
    for (const auto& each : read) {
      all.items.insert(all.items.end(), each.items.begin() + each.offsets[user],
                       each.items.begin() + each.offsets[user + 1]);
    }
    std::sort(all.items.begin() + begin, all.items.end());
    all.offsets.push_back(std::ssize(all.items));
  }
  return all;
}

}  // namespace sartor
