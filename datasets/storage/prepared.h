// The prepared file: ratings numbered, divided and laid out for trainers, larger than memory if need be. One HDF5 file:
//
//   attributes                             schema, schema_version, provenance (JSON), data_hash, rating_min, rating_max
//   /users/ids (U), /items/ids (I)         UTF-8 strings, each once
//   /train/by_user/                        offsets (U + 1) int64, columns (N) int32 items, values (N) float32,
//                                          times (N) int64 if the source has times
//   /train/by_item/                        offsets (I + 1) int64, columns (N) int32 users, values (N) float32
//   /validation/by_user/, /test/by_user/   as /train/by_user/; may hold no rating
//
// Columns ascend within a row. interactions/write_prepared.h writes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/hdf5_file.h"
#include "storage/id_map.h"

namespace sartor::datasets {

inline constexpr const char* prepared_schema = "sartor.prepared";
inline constexpr int64_t prepared_version = 1;

// What every column and value of a stored matrix must be.
struct RatingLimits {
  int64_t columns;
  double lowest, highest;
};

// A sparse matrix on disk, its offsets in memory.
class StoredRatings {
 public:
  // Checks the offsets and the sizes of all parts.
  StoredRatings(const Hdf5File& file, const std::string& group, int64_t rows, const RatingLimits& limits);

  int64_t rows() const { return std::ssize(offsets_) - 1; }
  int64_t columns() const { return limits_.columns; }
  int64_t size() const { return offsets_.back(); }
  const std::vector<int64_t>& offsets() const { return offsets_; }  // (rows + 1)
  bool has_times() const { return time_data_.has_value(); }

  // The end of the most rows from `begin` on that have up to `entries` entries together; of one row if that has more.
  int64_t rows_within(int64_t begin, int64_t entries) const;

  // The entries of rows [begin, end) into the first offsets()[end] - offsets()[begin] places. Throws
  // std::invalid_argument where a column is out of range or does not ascend within its row, or a value does not lie
  // between rating_min and rating_max.
  void read(int64_t begin, int64_t end, std::span<int32_t> columns, std::span<float> values) const;
  void read_times(int64_t begin, int64_t end, std::span<int64_t> times) const;

 private:
  RatingLimits limits_;
  Hdf5Numbers<int32_t> column_data_;
  Hdf5Numbers<float> value_data_;
  std::optional<Hdf5Numbers<int64_t>> time_data_;
  std::vector<int64_t> offsets_;
};

struct Prepared {
  Hdf5File file;
  int64_t users, items;
  double rating_min, rating_max;
  std::string provenance, data_hash;
  StoredRatings train, validation, test;  // by user
  StoredRatings train_by_item;

  IdMap read_user_ids() const;
  IdMap read_item_ids() const;
};

// Checks everything but ids, columns and values, which are checked when they are read. Throws std::invalid_argument.
Prepared open_prepared(const std::filesystem::path& path);

}  // namespace sartor::datasets
