#include "storage/prepared.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/require.h"
#include "storage/stored_ids.h"

namespace sartor::datasets {

StoredRatings::StoredRatings(const Hdf5File& file, const std::string& group, int64_t rows, const RatingLimits& limits)
    : limits_(limits),
      column_data_(file.list<int32_t>(group + "/columns")),
      value_data_(file.list<float>(group + "/values")) {
  if (file.has(group + "/times")) time_data_ = file.list<int64_t>(group + "/times");
  const auto stored = file.list<int64_t>(group + "/offsets");
  require(stored.rows() == rows + 1, "{} has {} entries, expected {}", stored.name(), stored.rows(), rows + 1);
  offsets_ = stored.read();
  require(offsets_[0] == 0, "{} starts with {}, expected 0", stored.name(), offsets_[0]);
  const auto fall = std::ranges::is_sorted_until(offsets_) - offsets_.begin();
  require(fall > rows, "{} decreases from {} to {} after row {}", stored.name(), offsets_[fall - 1],
          offsets_[std::min(fall, rows)], fall - 1);
  const auto check_size = [&](const Hdf5Dataset& data) {
    require(data.rows() == size(), "{} has {} entries, the offsets say {}", data.name(), data.rows(), size());
  };
  check_size(column_data_);
  check_size(value_data_);
  if (time_data_) check_size(*time_data_);
}

int64_t StoredRatings::rows_within(int64_t begin, int64_t entries) const {
  const auto from = offsets_.begin() + begin;
  const int64_t end = std::upper_bound(from, offsets_.end(), *from + entries) - offsets_.begin() - 1;
  return std::min(std::max(end, begin + 1), rows());
}

void StoredRatings::read(int64_t begin, int64_t end, std::span<int32_t> columns, std::span<float> values) const {
  const size_t size = offsets_[end] - offsets_[begin];
  column_data_.read(offsets_[begin], columns.first(size));
  value_data_.read(offsets_[begin], values.first(size));
  int64_t at = 0;
  for (int64_t row = begin; row < end; row++) {
    int32_t last = -1;
    for (const int64_t stop = offsets_[row + 1] - offsets_[begin]; at < stop; at++) {
      const int32_t column = columns[at];
      const float value = values[at];
      require(last < column && column < limits_.columns,
              "{}: row {} has {} after {}, expected ascending numbers below {}", column_data_.name(), row, column, last,
              limits_.columns);
      require(limits_.lowest <= value && value <= limits_.highest, "{}: row {} has {}, expected {} to {}",
              value_data_.name(), row, value, limits_.lowest, limits_.highest);
      last = column;
    }
  }
}

void StoredRatings::read_times(int64_t begin, int64_t end, std::span<int64_t> times) const {
  time_data_.value().read(offsets_[begin], times.first(offsets_[end] - offsets_[begin]));
}

IdMap Prepared::read_user_ids() const { return read_ids(file, "/users/ids", "users"); }

IdMap Prepared::read_item_ids() const { return read_ids(file, "/items/ids", "items"); }

Prepared open_prepared(const std::filesystem::path& path) {
  auto file = Hdf5File::open(path);
  file.require_schema(prepared_schema, prepared_version);
  const int64_t users = file.strings("/users/ids").rows(), items = file.strings("/items/ids").rows();
  require(std::max(users, items) <= INT32_MAX, "{}: {} users and {} items, at most {} of each can be read",
          path.string(), users, items, INT32_MAX);
  const double lowest = file.double_attribute("rating_min"), highest = file.double_attribute("rating_max");
  require(std::isfinite(lowest) && std::isfinite(highest) && lowest <= highest,
          "{}: rating_min {} and rating_max {} are not a valid range", path.string(), lowest, highest);
  const RatingLimits by_user{items, lowest, highest}, by_item{users, lowest, highest};
  StoredRatings train(file, "/train/by_user", users, by_user), validation(file, "/validation/by_user", users, by_user),
      test(file, "/test/by_user", users, by_user), train_by_item(file, "/train/by_item", items, by_item);
  require(train.size() == train_by_item.size(), "{}: {} training ratings by user, {} by item", path.string(),
          train.size(), train_by_item.size());
  auto provenance = file.string_attribute("provenance"), data_hash = file.string_attribute("data_hash");
  return {std::move(file),
          users,
          items,
          lowest,
          highest,
          std::move(provenance),
          std::move(data_hash),
          std::move(train),
          std::move(validation),
          std::move(test),
          std::move(train_by_item)};
}

}  // namespace sartor::datasets
