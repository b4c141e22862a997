#include "tasks/factors/user_ratings.h"

#include <span>
#include <utility>

namespace sartor {
namespace {

// Merges two users' lists of ascending items, of which none is in both.
UserRatings merge(const UserRatings& a, const UserRatings& b) {
  UserRatings all;
  all.items.reserve(a.items.size() + b.items.size());
  all.values.reserve(all.items.capacity());
  for (int64_t user = 0; user < a.users(); user++) {
    int64_t i = a.offsets[user], j = b.offsets[user];
    while (i < a.offsets[user + 1] || j < b.offsets[user + 1]) {
      const bool from_a = j == b.offsets[user + 1] || (i < a.offsets[user + 1] && a.items[i] < b.items[j]);
      const auto& [offsets, items, values] = from_a ? a : b;
      const int64_t at = from_a ? i++ : j++;
      all.items.push_back(items[at]);
      all.values.push_back(values[at]);
    }
    all.offsets.push_back(std::ssize(all.items));
  }
  return all;
}

}  // namespace

UserRatings read_users(const datasets::StoredRatings& ratings, int64_t first, int64_t users) {
  const auto offsets = std::span(ratings.offsets()).subspan(first, users + 1);
  const int64_t entries = offsets.back() - offsets.front();
  UserRatings read = {{}, std::vector<int32_t>(entries), std::vector<float>(entries)};
  for (const int64_t offset : offsets) read.offsets.push_back(offset - offsets.front());
  ratings.read(first, first + users, read.items, read.values);
  return read;
}

UserRatings read_users(const std::vector<const datasets::StoredRatings*>& parts, int64_t first, int64_t users) {
  UserRatings all = {std::vector<int64_t>(users + 1), {}, {}};
  for (const auto* part : parts) {
    UserRatings read = read_users(*part, first, users);
    if (read.items.empty()) continue;
    all = all.items.empty() ? std::move(read) : merge(all, read);
  }
  return all;
}

UserRatings slice(const UserRatings& ratings, int64_t begin, int64_t end) {
  const auto& [offsets, items, values] = ratings;
  const int64_t first = offsets[begin], last = offsets[end];
  UserRatings part = {
      {}, {items.begin() + first, items.begin() + last}, {values.begin() + first, values.begin() + last}};
  for (int64_t user = begin; user <= end; user++) part.offsets.push_back(offsets[user] - first);
  return part;
}

}  // namespace sartor
