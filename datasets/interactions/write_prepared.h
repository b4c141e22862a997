// The prepared file: what trainers read.
#pragma once

#include <filesystem>
#include <string>

#include "interactions/collect.h"
#include "interactions/split.h"

namespace sartor::datasets {

// What the prepared file says of itself.
struct Provenance {
  std::string json;       // sources, config, counts, version
  std::string data_hash;  // of the sources and the config
};

struct SplitReport {
  int64_t train = 0, validation = 0, test = 0;  // ratings
  int64_t cold_users = 0, cold_items = 0;       // that have test ratings but no training ratings
};

// Divides the ratings and writes them as one HDF5 file (storage/prepared.h says its form), by user and, for training,
// by item too. `data` is given up for memory: beside it this takes a byte a rating, then, without it, 8 bytes a
// training rating. The file appears whole or not at all.
SplitReport write_prepared(const std::filesystem::path& path, Interactions data, const SplitConfig& split,
                           const Provenance& provenance);

}  // namespace sartor::datasets
