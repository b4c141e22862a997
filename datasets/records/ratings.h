// Ratings: interactions of users and items that carry a value, out of any table.
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

// Some rows of one file, in its order. All columns have size() entries, `times` none where the source has no times.
struct RatingBatch {
  std::string file;
  std::vector<int64_t> rows;   // 1-based number of the record in `file`, a header being record 1: for messages
  StringColumn users, items;   // never empty strings, whatever type the source has
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

// Where ratings come from.
class RatingSource {
 public:
  virtual ~RatingSource() = default;

  // Replaces `batch` by the next rows; false at the end, with an empty batch. A batch of no rows is not the end.
  virtual bool next(RatingBatch& batch) = 0;
  virtual bool has_times() const = 0;
};

// Reads the ratings of config.path. Rows that are unfit go to `rejects`, which must outlive the source.
// Opening and next() throw std::invalid_argument where a file is missing, broken or lacks a column.
std::unique_ptr<RatingSource> open_ratings(const RatingsConfig& config, Rejects& rejects);

}  // namespace sartor::datasets
