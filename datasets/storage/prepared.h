// The prepared file: ratings with dense indices, split and stored for training; may exceed memory. One HDF5 file:
//
//   attributes                             schema, schema_version, provenance (JSON), data_hash, rating_min, rating_max
//   /users/ids (U), /items/ids (I)         distinct UTF-8 strings
//   /train/by_user/                        offsets (U + 1) int64, columns (N) int32 items, values (N) float32,
//                                          times (N) int64 if the source has timestamps
//   /train/by_item/                        offsets (I + 1) int64, columns (N) int32 users, values (N) float32
//   /validation/by_user/, /test/by_user/   as /train/by_user/; may be empty
//
// Columns ascend within a row. Written by interactions/write_prepared.h.
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

// Bounds of all columns and values of a stored matrix.
struct RatingLimits {
  int64_t columns;
  double lowest, highest;
};

// A CSR matrix on disk with its offsets in memory.
class StoredRatings {
 public:
  // Validates the offsets and the sizes of the datasets.
  StoredRatings(const Hdf5File& file, const std::string& group, int64_t rows, const RatingLimits& limits);

  int64_t rows() const { return std::ssize(offsets_) - 1; }
  int64_t columns() const { return limits_.columns; }
  int64_t size() const { return offsets_.back(); }
  const std::vector<int64_t>& offsets() const { return offsets_; }  // (rows + 1)
  bool has_times() const { return time_data_.has_value(); }

  // Largest end such that rows [begin, end) have at most `entries` entries; begin + 1 if the first row alone has more.
  int64_t rows_within(int64_t begin, int64_t entries) const;

  // Reads the entries of rows [begin, end) to the start of both spans. Throws std::invalid_argument if
  // a column is out of range, columns do not ascend within a row, or a value is outside rating_min .. rating_max.
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

// Validates everything except ids, columns and values, which are validated when read. Throws std::invalid_argument.
Prepared open_prepared(const std::filesystem::path& path);

}  // namespace sartor::datasets
