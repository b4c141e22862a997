// Ratings that wait on disk until their place in memory is known.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

namespace sartor::datasets {

// Ratings in the order of the source, their users and items numbered. Columns are as long as `users`, or empty if
// unused.
struct SpillBlock {
  std::vector<int32_t> users, items;
  std::vector<float> values;
  std::vector<int64_t> times, places;  // places: where in the source they stand
};

// A nameless file in `folder`: it goes with the process, however that ends. Failures are std::system_error.
class Spill {
 public:
  explicit Spill(const std::filesystem::path& folder);

  void write(const SpillBlock& block);
  void rewind();                 // to the first block
  bool read(SpillBlock& block);  // the next one; false after the last

 private:
  void check(bool done, const char* action) const;

  std::filesystem::path folder_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  int64_t written_ = 0, read_ = 0;  // blocks
};

}  // namespace sartor::datasets
