// Ratings that wait on disk until their place in memory is known.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "storage/scratch_file.h"

namespace sartor::datasets {

// Ratings in the order of the source, their users and items numbered. Columns are as long as `users`, or empty if
// unused.
struct SpillBlock {
  std::vector<int32_t> users, items;
  std::vector<float> values;
  std::vector<int64_t> times, places;  // places: where in the source they stand
};

// Blocks in a file without a name.
class Spill {
 public:
  explicit Spill(const std::filesystem::path& folder) : file_(folder) {}

  void write(const SpillBlock& block);
  void rewind();                 // to the first block
  bool read(SpillBlock& block);  // the next one; false after the last

 private:
  ScratchFile file_;
  int64_t size_ = 0, read_ = 0;  // bytes
};

}  // namespace sartor::datasets
