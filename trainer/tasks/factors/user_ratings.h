// Reads the ratings of a block of users from a prepared file.
#pragma once

#include <cstdint>
#include <vector>

#include "models/factorization/scorer.h"
#include "storage/prepared.h"

namespace sartor {

// Ratings of users first, ..., first + users - 1.
UserRatings read_users(const datasets::StoredRatings& ratings, int64_t first, int64_t users);

// Ratings of those users in all of the parts, which must be disjoint.
UserRatings read_users(const std::vector<const datasets::StoredRatings*>& parts, int64_t first, int64_t users);

// Ratings of users begin, ..., end - 1 of `ratings`.
UserRatings slice(const UserRatings& ratings, int64_t begin, int64_t end);

}  // namespace sartor
