// Collects ratings into a sparse matrix.
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
    field(
        "duplicates", duplicates,
        "How to merge repeated ratings of one item by one user: keep the last (by time, or by row without times), take "
        "the mean or the sum, or stop with an error.");
  }
};

// Ratings by user, with ascending distinct items per user. Users and items are indexed by first appearance.
struct Interactions {
  IdMap users{"users"}, items{"items"};
  std::vector<int64_t> offsets;  // (users + 1)
  std::vector<Rating> ratings;
  std::vector<int64_t> times;  // as long as ratings, or empty if the source has none
  int64_t received = 0;        // ratings read from the source; received - ratings.size() were duplicates
  float lowest = 0, highest = 0;

  RatingsByUser by_user() const { return {offsets, ratings, times, received}; }
};

// Reads all ratings of the source and merges duplicates. A merged rating has the time and order of the last duplicate.
//
// Memory: ratings are first written to a temporary file in `scratch`, 12 bytes per rating (20 with times), then loaded
// once, 16 bytes per rating (24 with times). Calls `source` from another thread, one call at a time. Throws
// std::invalid_argument if there are no ratings, and with both row numbers on duplicates if they are an `error`.
Interactions collect(RatingSource& source, const CleaningConfig& config, const std::filesystem::path& scratch);

}  // namespace sartor::datasets
