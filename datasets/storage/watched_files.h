// Detects changes to input files while they are read.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <vector>

namespace sartor::datasets {

// Throws std::runtime_error, "FILE changed while it was read".
[[noreturn]] void throw_changed(const std::filesystem::path& file);

class WatchedFiles {
 public:
  // Records identity, size and modification time of each file. Files that are not regular, such as pipes, are skipped.
  template <class Paths> explicit WatchedFiles(const Paths& files) {
    for (const auto& file : files) add(file);
  }

  // Throws std::runtime_error with the first file that was replaced or changed in size or modification time.
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
