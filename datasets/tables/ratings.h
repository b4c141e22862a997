// Ratings: interactions of users and items that carry a value, out of any table.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tables/rejects.h"
#include "tables/table_config.h"

namespace sartor::datasets {

// A column of UTF-8 strings, one after the other in `bytes`; string i ends at ends[i].
struct IdColumn {
  std::string bytes;
  std::vector<int64_t> ends;

  int64_t size() const { return std::ssize(ends); }
  std::string_view operator[](int64_t i) const {
    const int64_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(bytes).substr(begin, ends[i] - begin);
  }
  void push_back(std::string_view id) {
    bytes += id;
    ends.push_back(std::ssize(bytes));
  }
  void clear() {
    bytes.clear();
    ends.clear();
  }
};

// Some rows of one file, in its order. All columns have size() entries, `times` none where the source has no times.
struct RatingBatch {
  std::string file;
  std::vector<int64_t> rows;   // 1-based number of the record in `file`, a header being record 1: for messages
  IdColumn users, items;       // never empty strings, whatever type the source has
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
