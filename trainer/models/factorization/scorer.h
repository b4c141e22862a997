// How a trained model is asked for the best items of users.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/views.h"

namespace sartor {

// Lists of k items a user, best first; a user with fewer items left has -1 in the rest.
struct RankedItems {
  int64_t k = 0;
  std::vector<int32_t> items;  // (users, k) indices of the model
  std::vector<float> scores;   // (users, k)

  std::span<const int32_t> of(int64_t user) const { return std::span(items).subspan(user * k, k); }
};

// Ratings of some users, laid out as in cuda::Csr.
struct UserRatings {
  std::vector<int64_t> offsets = {0};  // (users + 1), from 0
  std::vector<int32_t> items;          // ascending within a user
  std::vector<float> values;

  int64_t users() const { return std::ssize(offsets) - 1; }
};

// Made by TrainedModel::scorer(). All arguments are on the host.
//
//   excluded  a list for each user of items that are not for her, ascending; rows = 0 for none
//   k         1 .. offered()
class Scorer {
 public:
  virtual ~Scorer() = default;

  virtual int64_t offered() const = 0;  // number of items that lists may have

  // Lists for users of the model, by their indices.
  virtual RankedItems rank(std::span<const int32_t> users, const cuda::IdLists& excluded, int64_t k) = 0;

  // Lists for users of whom nothing but these ratings counts. Throws std::invalid_argument where the model's
  // cannot_fold_in() says why.
  virtual RankedItems rank(const UserRatings& ratings, const cuda::IdLists& excluded, int64_t k) = 0;
};

}  // namespace sartor
