// Split of ratings into training, validation and test.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "schema/fields.h"

namespace sartor::datasets {

enum class SplitMethod { random, stratified, temporal, leave_last_out, user_disjoint, rows, files };

constexpr auto choices(SplitMethod) {
  return std::to_array<Choice<SplitMethod>>({{"random", SplitMethod::random},
                                             {"stratified", SplitMethod::stratified},
                                             {"temporal", SplitMethod::temporal},
                                             {"leave_last_out", SplitMethod::leave_last_out},
                                             {"user_disjoint", SplitMethod::user_disjoint},
                                             {"rows", SplitMethod::rows},
                                             {"files", SplitMethod::files}});
}

struct SplitConfig {
  SplitMethod method = SplitMethod::random;
  double test = 0.2;
  double validation = 0;
  int64_t seed = 0;
  std::optional<int64_t> first_test_row, test_rows;

  template <class Fields> void describe(Fields& field) {
    field("method", method,
          "random: random ratings; stratified: the same share of each user's ratings, chosen at random; temporal: the "
          "latest ratings; leave_last_out: each user's last rating for test, the one before it for validation; "
          "user_disjoint: all ratings of randomly chosen users; rows: a block of rows for test, random others for "
          "validation; files: the ratings of test_path for test, random others for validation.");
    field("test", test, between(0, 1),
          "Fraction for test, rounded up: of the ratings, or of the users for user_disjoint. leave_last_out, rows and "
          "files ignore it.");
    field("validation", validation, between(0, 1),
          "Fraction for validation, rounded up: of the ratings, of the users for user_disjoint, of the ratings outside "
          "the test ratings for rows and files. For leave_last_out any value above 0 enables validation. 0: no "
          "validation.");
    field("seed", seed, at_least(0), "Seed of random choices.");
    field("first_test_row", first_test_row, between(0, 1e15),
          "First rating of the test block, counted from 0. Required by rows; not allowed with other methods.");
    field("test_rows", test_rows, between(1, 1e15),
          "Ratings in the test block. Required by rows; not allowed with other methods.");
  }
  void check() const {
    const bool by_rows = method == SplitMethod::rows;
    require(by_rows == first_test_row.has_value() && by_rows == test_rows.has_value(),
            "first_test_row and test_rows are for method rows, which needs both; method is {}", name_of(method));
    // Whether `test` is ignored, so that the fractions need not sum to less than 1.
    const bool apart = by_rows || method == SplitMethod::files || method == SplitMethod::leave_last_out;
    require(test < 1 && validation < 1 && (apart || test + validation < 1),
            "test {} and validation {} leave nothing for training", test, validation);
  }
};

// A rating without its user and time, which are stored separately.
struct Rating {
  int64_t order;  // index in the order of the source
  int32_t item;
  float value;
};

// Ratings by user: user u has ratings[offsets[u]] .. ratings[offsets[u + 1] - 1]. `times` is as long as ratings, or
// empty.
struct RatingsByUser {
  std::span<const int64_t> offsets;
  std::span<const Rating> ratings;
  std::span<const int64_t> times;
  int64_t received;  // ratings read from the source, whose orders were 0 .. received - 1
};

enum class Part : uint8_t { train, validation, test };
constexpr auto choices(Part) {
  return std::to_array<Choice<Part>>({{"train", Part::train}, {"validation", Part::validation}, {"test", Part::test}});
}

// Assigns a part to each rating, deterministically on all machines. Of n ratings ceil(n test) are for test, as in
// scikit-learn, and ceil(n validation) for validation. By method:
//   stratified: a user with c of the n ratings has floor or ceil of c ceil(n test) / n test ratings;
//   temporal: test ratings are the latest; among equal times, ratings that come first in the source are for training;
//   leave_last_out: last by time, or by order without times; every user keeps at least one training rating;
//   user_disjoint: test and validation are fractions of the users;
//   rows: ratings of order first_test_row .. first_test_row + test_rows - 1 are for test, and ceil(m validation) of the
//         m others, chosen at random, for validation;
//   files: as rows; the caller sets first_test_row and test_rows to the rows of the test files.
// Memory: one byte per rating. Throws std::invalid_argument if no rating is left for training or test, or required
// times or rows are missing.
std::vector<Part> divide(const RatingsByUser& ratings, const SplitConfig& config);

}  // namespace sartor::datasets
