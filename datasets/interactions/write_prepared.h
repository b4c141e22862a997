// Writes the prepared file, the input of training.
#pragma once

#include <filesystem>
#include <string>

#include "interactions/collect.h"
#include "interactions/split.h"

namespace sartor::datasets {

// Origin of the data, stored in the prepared file.
struct Provenance {
  std::string json;       // sources, config, counts, version
  std::string data_hash;  // identifies the sources and the config
};

struct SplitReport {
  int64_t train = 0, validation = 0, test = 0;  // ratings
  int64_t cold_users = 0, cold_items = 0;       // with test ratings but no training ratings
};

// Splits the ratings and writes them atomically to one HDF5 file (format: storage/prepared.h). Memory: one byte per
// rating in addition to `data`; then, after `data` has been freed, 8 bytes per training rating.
SplitReport write_prepared(const std::filesystem::path& path, Interactions data, const SplitConfig& split,
                           const Provenance& provenance);

}  // namespace sartor::datasets
