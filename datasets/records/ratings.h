// Ratings (user, item, value, time) from tables.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "records/string_column.h"
#include "tables/rejects.h"
#include "tables/table_config.h"

namespace sartor::datasets {

// Consecutive rows of one file. All columns have size() entries, except that `times` is empty if the source has no
// times.
struct RatingBatch {
  std::string file;
  std::vector<int64_t> rows;   // record numbers in `file`, from 1; a header is record 1
  StringColumn users, items;   // ids as text, never empty
  std::vector<float> values;   // finite
  std::vector<int64_t> times;  // seconds since 1970-01-01 UTC

  int64_t size() const { return std::ssize(rows); }
  void clear() {
    rows.clear();
    users.clear();
    items.clear();
    values.clear();
    times.clear();
  }
};

// A stream of ratings.
class RatingSource {
 public:
  virtual ~RatingSource() = default;

  // Replaces `batch` with the next rows. Returns false, with an empty batch, at the end; a batch may be empty before.
  virtual bool next(RatingBatch& batch) = 0;
  virtual bool has_times() const = 0;
};

// Reads the ratings of config.path. Invalid rows go to `rejects`, which must outlive the source.
// Opening and next() throw std::invalid_argument if a file is missing, cannot be parsed or lacks a column.
std::unique_ptr<RatingSource> open_ratings(const RatingsConfig& config, Rejects& rejects);

}  // namespace sartor::datasets
