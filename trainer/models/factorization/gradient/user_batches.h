// Batches of users for SVD++.
#pragma once

#include <cstdint>
#include <vector>

#include "factorization/sgd/svdpp.h"
#include "models/factorization/scorer.h"

namespace sartor {

// See cuda::SvdppBatches.
struct UserBatches {
  int64_t batch_users;
  std::vector<int32_t> users;
  std::vector<int64_t> offsets;
  std::vector<cuda::SvdppVisit> visits;
  std::vector<cuda::SvdppEntry> entries;

  cuda::SvdppBatches view() const {
    return {users.data(), std::ssize(users), batch_users, offsets.data(), visits.data(), entries.data()};
  }
};

// Users with ratings in random order.
UserBatches random_batches(const UserRatings& ratings, int64_t batch_users, int64_t seed);

}  // namespace sartor
