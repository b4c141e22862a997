// Which ratings are for training, validation and test.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "schema/fields.h"

namespace sartor::datasets {

enum class SplitMethod { random, stratified, temporal, leave_last_out, user_disjoint, rows };

constexpr auto choices(SplitMethod) {
  return std::to_array<Choice<SplitMethod>>({{"random", SplitMethod::random},
                                             {"stratified", SplitMethod::stratified},
                                             {"temporal", SplitMethod::temporal},
                                             {"leave_last_out", SplitMethod::leave_last_out},
                                             {"user_disjoint", SplitMethod::user_disjoint},
                                             {"rows", SplitMethod::rows}});
}

struct SplitConfig {
  SplitMethod method = SplitMethod::random;
  double test = 0.2;
  double validation = 0;
  int64_t seed = 0;
  std::optional<int64_t> first_test_row, test_rows;

  template <class Fields> void describe(Fields& field) {
    field("method", method,
          "random: any ratings; stratified: the same share of every user's; temporal: the latest; leave_last_out: each "
          "user's last for test, the one before for validation; user_disjoint: all of some users'; rows: a block of "
          "rows.");
    field("test", test, between(0, 1), "Part of the ratings (of the users, if user_disjoint) for test, rounded up.");
    field("validation", validation, between(0, 1),
          "Part of the ratings (of the users, if user_disjoint; of the ratings outside the block, if rows) for "
          "validation, rounded up; 0 for none. With leave_last_out just 0 or not.");
    field("seed", seed, at_least(0), "Chooses among the ways to divide by chance.");
    field("first_test_row", first_test_row, between(0, 1e15),
          "With rows: number of the first test rating, counted from 0.");
    field("test_rows", test_rows, between(1, 1e15), "With rows: how many ratings are for test.");
  }
  void check() const {
    const bool by_rows = method == SplitMethod::rows;
    require(by_rows == first_test_row.has_value() && by_rows == test_rows.has_value(),
            "first_test_row and test_rows are for method rows, which needs both; method is {}", name_of(method));
    const bool apart = by_rows || method == SplitMethod::leave_last_out;  // the two shares are not of the same whole
    require(test < 1 && validation < 1 && (apart || test + validation < 1),
            "test {} and validation {} leave nothing for training", test, validation);
  }
};

// A rating as it is divided and stored: by user, times apart.
struct Rating {
  int64_t order;  // how many ratings the source gave before it
  int32_t item;
  float value;
};

// Ratings by user: user u has ratings[offsets[u]] to ratings[offsets[u + 1] - 1]. `times` is as long as ratings, or
// empty.
struct RatingsByUser {
  std::span<const int64_t> offsets;
  std::span<const Rating> ratings;
  std::span<const int64_t> times;
  int64_t received;  // ratings that the source gave: their orders were 0 to received - 1
};

enum class Part : uint8_t { train, validation, test };
constexpr auto choices(Part) {
  return std::to_array<Choice<Part>>({{"train", Part::train}, {"validation", Part::validation}, {"test", Part::test}});
}

// The part of each rating; the same on every machine. Of n ratings ceil(n test) are for test, as in scikit-learn, and
// of the others ceil(n validation) for validation. By method:
//   stratified: a user with c of the n ratings gives floor or ceil of c ceil(n test) / n;
//   temporal: no test rating is older than another one; of the same time, those first in the source are for training;
//   leave_last_out: last by time, or in the source if there are no times; one of each user's is left for training;
//   user_disjoint: the counts are of users;
//   rows: the ratings of order first_test_row to first_test_row + test_rows - 1; of the other m ceil(m validation), at
//         random, for validation.
// Takes one byte a rating. Throws std::invalid_argument where nothing is left for training or test, or times or rows
// are missing.
std::vector<Part> divide(const RatingsByUser& ratings, const SplitConfig& config);

}  // namespace sartor::datasets
