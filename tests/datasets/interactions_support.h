// Ratings in memory as a source, and a temporary folder per test.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "records/ratings.h"
#include "support/folder_test.h"

namespace sartor::datasets {

struct Row {
  std::string user, item;
  float value = 1;
  int64_t time = 0;
  bool operator==(const Row&) const = default;
};

inline void PrintTo(const Row& row, std::ostream* out) {
  *out << row.user << ' ' << row.item << ' ' << row.value << " at " << row.time;
}

// Returns the rows in batches, as from two files with half of the rows each. Throws before row `stop`.
class RowSource final : public RatingSource {
 public:
  RowSource(std::vector<Row> rows, bool has_times, int64_t batch = 7, int64_t stop = INT64_MAX)
      : rows_(std::move(rows)), has_times_(has_times), batch_(batch), stop_(stop) {}

  bool next(RatingBatch& batch) override {
    batch.clear();
    const int64_t half = std::ssize(rows_) / 2, size = std::ssize(rows_);
    if (done_ == size) return false;
    batch.file = done_ < half ? "a.csv" : "b.csv";
    for (const int64_t end = std::min(done_ + batch_, done_ < half ? half : size); done_ < end; done_++) {
      if (done_ == stop_) throw std::invalid_argument("a.csv: row breaks off");
      const Row& row = rows_[done_];
      batch.rows.push_back(2 + (done_ < half ? done_ : done_ - half));  // record 1 is a header
      batch.users.push_back(row.user);
      batch.items.push_back(row.item);
      batch.values.push_back(row.value);
      if (has_times_) batch.times.push_back(row.time);
    }
    return true;
  }
  bool has_times() const override { return has_times_; }

 private:
  std::vector<Row> rows_;
  bool has_times_;
  int64_t batch_, stop_, done_ = 0;
};

// Ids of 1 to 20 bytes, some Chinese. About one in `density` pairs is repeated. Times are unordered and have ties.
inline std::vector<Row> made_rows(int64_t count, uint64_t users, uint64_t items, uint64_t seed = 1) {
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  const auto random = [&](uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
  };
  std::vector<Row> rows;
  for (int64_t i = 0; i < count; i++) {
    const uint64_t user = random(users), item = random(items);
    rows.push_back({user % 3 ? std::to_string(user) : "用户" + std::to_string(user),
                    item % 4 ? std::to_string(item) : "a long name of item " + std::to_string(item),
                    0.5f * (1 + random(10)), 1'000'000'000 + int64_t(random(count / 3 + 1))});
  }
  return rows;
}

}  // namespace sartor::datasets
