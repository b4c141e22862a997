// Ratings out of a table become a sparse matrix.
#pragma once

#include <filesystem>
#include <vector>

#include "interactions/split.h"
#include "records/ratings.h"
#include "schema/fields.h"
#include "storage/id_map.h"

namespace sartor::datasets {

enum class Duplicates { last, mean, sum, error };

constexpr auto choices(Duplicates) {
  return std::to_array<Choice<Duplicates>>(
      {{"last", Duplicates::last}, {"mean", Duplicates::mean}, {"sum", Duplicates::sum}, {"error", Duplicates::error}});
}

struct CleaningConfig {
  Duplicates duplicates = Duplicates::last;

  template <class Fields> void describe(Fields& field) {
    field("duplicates", duplicates,
          "What becomes of several ratings of one item by one user: the last (by time, else by row), their mean, their "
          "sum, or an error.");
  }
};

// Ratings by user, items ascending within a user, each item once. Users and items are numbered by first appearance.
struct Interactions {
  IdMap users{"users"}, items{"items"};
  std::vector<int64_t> offsets;  // (users + 1)
  std::vector<Rating> ratings;
  std::vector<int64_t> times;  // as long as ratings, or empty if the source has none
  int64_t received = 0;        // ratings that the source gave; received - ratings.size() were duplicates
  float lowest = 0, highest = 0;

  RatingsByUser by_user() const { return {offsets, ratings, times, received}; }
};

// Reads the source to its end. The time and the order of what replaces duplicates are the last one's.
//
// While reading, the ratings lie in a nameless file in `scratch`, 12 bytes each (20 with times); then in memory, 16
// bytes each (24 with times), once. `source` is called from another thread, one call at a time. Throws
// std::invalid_argument if there are no ratings, or duplicates under `error`, naming both rows.
Interactions collect(RatingSource& source, const CleaningConfig& config, const std::filesystem::path& scratch);

}  // namespace sartor::datasets
