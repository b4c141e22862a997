// File descriptors that close themselves.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

namespace sartor::datasets {

// Throws std::system_error with the current errno and "cannot ACTION PATH" unless `done`.
void check_system(bool done, const char* action, const std::filesystem::path& path);

// Owns a file descriptor; -1 after a move.
class Descriptor {
 public:
  // Opens the file with open(2) and O_CLOEXEC. Throws std::system_error with the path.
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

// Writes all of `text` at the current position. Throws std::system_error; `path` is used in the message only.
void write_all(const Descriptor& file, std::string_view text, const std::filesystem::path& path);

}  // namespace sartor::datasets
