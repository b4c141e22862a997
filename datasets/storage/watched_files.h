// Files that must stay as they are while they are read.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <vector>

namespace sartor::datasets {

// Throws std::runtime_error, "FILE changed while it was read".
[[noreturn]] void throw_changed(const std::filesystem::path& file);

class WatchedFiles {
 public:
  // Notes which files these are, their sizes and times. What is no regular file, such as a pipe, is not watched.
  template <class Paths> explicit WatchedFiles(const Paths& files) {
    for (const auto& file : files) add(file);
  }

  // Throws std::runtime_error that names the first file that was replaced, or changed in size or time.
  void check() const;

 private:
  struct Watched {
    std::filesystem::path path;
    struct stat before;
  };

  void add(const std::filesystem::path& file);

  std::vector<Watched> files_;
};

}  // namespace sartor::datasets
