// What an epoch of contrastive_epoch visits, for GPUs, which get it whole before the epoch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "factorization/ranking/contrastive.h"
#include "factorization/ranking/draws.h"

namespace sartor::cuda {

// Users with items, in the random order of an epoch.
inline std::vector<int32_t> shuffled_users(const IdLists& chosen, uint64_t seed) {
  std::vector<int32_t> users;
  for (int64_t user = 0; user < chosen.rows; user++) {
    if (chosen.offsets[user] < chosen.offsets[user + 1]) users.push_back(static_cast<int32_t>(user));
  }
  Draws draws(seed, 0);
  for (int64_t last = std::ssize(users) - 1; last > 0; last--) std::swap(users[last], users[draws.below(last + 1)]);
  return users;
}

// Draws the negatives of a batch, which are numbered from 1.
inline void draw_negatives(uint64_t seed, int64_t batch, int64_t items, std::span<int32_t> negatives) {
  Draws draws(seed, batch);
  for (int32_t& negative : negatives) negative = static_cast<int32_t>(draws.below(items));
}

// An item that gets a gradient from a batch.
struct ItemVisit {
  int32_t item;
  int32_t first_slot, last_slot;          // in `slots`: users of the batch who have chosen it
  int32_t first_negative, last_negative;  // among the negatives of the batch
};

// A batch on the host. Its negatives ascend, so that those of an item are neighbors.
struct ContrastiveBatch {
  std::vector<int32_t> negatives, slots;
  std::vector<ItemVisit> visits;  // ascending items

  ContrastiveBatch(const ContrastiveTask& task, const IdLists& chosen, std::span<const int32_t> users, int64_t number)
      : negatives(task.params.negatives) {
    draw_negatives(task.seed, number, task.items.rows, negatives);
    std::ranges::sort(negatives);
    std::vector<std::pair<int32_t, int32_t>> pairs;  // item, slot
    for (int32_t slot = 0; slot < std::ssize(users); slot++) {
      for (int64_t at = chosen.offsets[users[slot]]; at < chosen.offsets[users[slot] + 1]; at++) {
        pairs.emplace_back(chosen.ids[at], slot);
      }
    }
    std::ranges::sort(pairs);
    const auto size = static_cast<int32_t>(pairs.size()), drawn = static_cast<int32_t>(negatives.size());
    for (int32_t pair = 0, negative = 0; pair < size || negative < drawn;) {
      const int32_t item = negative == drawn || (pair < size && pairs[pair].first < negatives[negative])
                               ? pairs[pair].first
                               : negatives[negative];
      ItemVisit visit = {item, pair, pair, negative, negative};
      for (; pair < size && pairs[pair].first == item; pair++) slots.push_back(pairs[pair].second);
      while (negative < drawn && negatives[negative] == item) negative++;
      visit.last_slot = pair;
      visit.last_negative = negative;
      visits.push_back(visit);
    }
  }
};

}  // namespace sartor::cuda
