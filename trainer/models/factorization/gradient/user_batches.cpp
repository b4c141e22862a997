#include "models/factorization/gradient/user_batches.h"

#include <algorithm>
#include <span>

#include "models/factorization/gradient/shuffle.h"

namespace sartor {
namespace {

struct BatchRating {
  int32_t item;
  cuda::SvdppEntry entry;
};

// Ratings of a batch, by item and then in the order of the users.
std::vector<BatchRating> by_item(const UserRatings& ratings, std::span<const int32_t> users) {
  std::vector<BatchRating> batch;
  for (int32_t place = 0; place < std::ssize(users); place++) {
    const int32_t user = users[place];
    for (int64_t at = ratings.offsets[user]; at < ratings.offsets[user + 1]; at++) {
      batch.push_back({ratings.items[at], {place, ratings.values[at]}});
    }
  }
  std::ranges::stable_sort(batch, {}, &BatchRating::item);
  return batch;
}

}  // namespace

UserBatches random_batches(const UserRatings& ratings, int64_t batch_users, int64_t seed) {
  UserBatches batches = {.batch_users = batch_users, .offsets = {0}};
  for (int32_t user = 0; user < ratings.users(); user++) {
    if (ratings.offsets[user] < ratings.offsets[user + 1]) batches.users.push_back(user);
  }
  shuffle(std::span(batches.users), seed, 0);
  batches.entries.reserve(ratings.items.size());
  const auto users = std::ssize(batches.users);
  for (int64_t first = 0; first < users; first += batch_users) {
    const auto batch = std::span(batches.users).subspan(first, std::min(batch_users, users - first));
    int32_t last_item = -1;
    for (const auto& [item, entry] : by_item(ratings, batch)) {
      if (item != last_item) batches.visits.push_back({std::ssize(batches.entries), item});
      last_item = item;
      batches.entries.push_back(entry);
    }
    batches.offsets.push_back(std::ssize(batches.visits));
  }
  batches.visits.push_back({std::ssize(batches.entries), -1});
  return batches;
}

}  // namespace sartor
