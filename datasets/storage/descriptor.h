// Open files as the system numbers them.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

namespace sartor::datasets {

// Throws std::system_error of errno, "cannot ACTION PATH", unless `done`.
void check_system(bool done, const char* action, const std::filesystem::path& path);

// An open file; -1 for none. Closes it.
class Descriptor {
 public:
  // As open(2), for this process only. Throws std::system_error with the path.
  Descriptor(const std::filesystem::path& path, int flags);
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  int number() const { return number_; }

 private:
  int number_ = -1;
};

// Writes all of it at the file's position; `path` is for the error, a std::system_error.
void write_all(const Descriptor& file, std::string_view text, const std::filesystem::path& path);

}  // namespace sartor::datasets
