// Ratings of some users, read from a prepared file a block of users at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "models/factorization/scorer.h"
#include "storage/prepared.h"

namespace sartor {

// Users first, first + 1, …
UserRatings read_users(const datasets::StoredRatings& ratings, int64_t first, int64_t users);

// The ratings of those users in any of these parts, which have none in common.
UserRatings read_users(const std::vector<const datasets::StoredRatings*>& parts, int64_t first, int64_t users);

}  // namespace sartor
