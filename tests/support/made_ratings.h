// Made-up ratings as a source of datasets::collect().
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "records/ratings.h"

namespace sartor::testing {

// The ratings of users 用户0, 用户1, ... for items i0, i1, .... rating_of(cell) is the rating of user cell / items for
// item cell % items, or nothing.
class MadeRatings : public datasets::RatingSource {
 public:
  MadeRatings(int64_t users, int64_t items, std::function<std::optional<float>(int64_t cell)> rating_of)
      : users_(users), items_(items), rating_of_(std::move(rating_of)) {}

  bool next(datasets::RatingBatch& batch) override {
    batch.clear();
    if (given_) return false;
    given_ = true;
    for (int64_t cell = 0; cell < users_ * items_; cell++) {
      const auto rating = rating_of_(cell);
      if (!rating) continue;
      batch.rows.push_back(cell);
      batch.users.push_back("用户" + std::to_string(cell / items_));
      batch.items.push_back("i" + std::to_string(cell % items_));
      batch.values.push_back(*rating);
    }
    return true;
  }
  bool has_times() const override { return false; }

 private:
  const int64_t users_, items_;
  const std::function<std::optional<float>(int64_t)> rating_of_;
  bool given_ = false;
};

}  // namespace sartor::testing
