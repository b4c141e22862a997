// Implicit feedback in training by ranking losses: which items each user has chosen.
#pragma once

#include <optional>
#include <vector>

#include "core/views.h"
#include "models/factorization/scorer.h"
#include "schema/fields.h"
#include "storage/prepared.h"

namespace sartor {

// On the host, laid out as cuda::IdLists.
struct Interactions {
  std::vector<int64_t> offsets = {0};  // (U + 1)
  std::vector<int32_t> items;          // ascending within a user

  cuda::IdLists view() const { return {std::ssize(offsets) - 1, offsets.data(), items.data()}; }
};

// The training ratings of at least `threshold`; all of them without one. Throws std::invalid_argument if there are
// none.
Interactions read_interactions(const datasets::Prepared& data, std::optional<float> threshold);

// The same of users' ratings, which may be none.
Interactions interactions_of(const UserRatings& ratings, std::optional<float> threshold);

// Number of interactions of each item.
std::vector<int64_t> count_items(const Interactions& chosen, int64_t items);

// How the learning rate changes in the course of a training.
enum class RateSchedule { constant, linear };
constexpr auto choices(RateSchedule) {
  return std::to_array<Choice<RateSchedule>>({{"constant", RateSchedule::constant}, {"linear", RateSchedule::linear}});
}

// Part of the learning rate after `done` of `all` parts of a training: 1, or 1 - done / all.
inline float rate_factor(RateSchedule schedule, double done, double all) {
  return schedule == RateSchedule::constant ? 1.0f : static_cast<float>(1 - done / all);
}

}  // namespace sartor
