// Ratings on disk while they are counted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "storage/scratch_file.h"

namespace sartor::datasets {

// Ratings in the order of the source, with indices of users and items. Unused columns are empty.
struct SpillBlock {
  std::vector<int32_t> users, items;
  std::vector<float> values;
  std::vector<int64_t> times, places;  // places: file and row in the source
};

// A sequence of blocks in a temporary file.
class Spill {
 public:
  explicit Spill(const std::filesystem::path& folder) : file_(folder) {}

  void write(const SpillBlock& block);
  void rewind();                 // continues reading at the first block
  bool read(SpillBlock& block);  // reads the next block; false at the end

 private:
  ScratchFile file_;
  int64_t size_ = 0, read_ = 0;  // bytes
};

}  // namespace sartor::datasets
