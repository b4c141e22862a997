// Temporary file for data that does not fit in memory. It has no name, so that the system always removes it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>

namespace sartor::datasets {

// Errors of the file system are std::system_error. Not thread-safe.
class ScratchFile {
 public:
  // Creates the file in `folder`; in the working directory if it is empty.
  explicit ScratchFile(const std::filesystem::path& folder);

  // Appends values and returns the byte offset of the first.
  template <class T> int64_t append(std::span<const T> values) { return append(values.data(), values.size_bytes()); }

  // Reads values at a byte offset. Sequential reads need no seek.
  template <class T> void read(int64_t offset, std::span<T> values) {
    read(offset, values.data(), values.size_bytes());
  }

 private:
  int64_t append(const void* bytes, size_t size);
  void read(int64_t offset, void* bytes, size_t size);
  void seek(int64_t offset, const char* action);
  void check(bool done, const char* action) const;

  std::filesystem::path folder_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  int64_t size_ = 0;      // bytes
  int64_t position_ = 0;  // current offset of the file
  bool reading_ = false;  // whether the last access was a read; stdio needs a seek between reads and writes
};

}  // namespace sartor::datasets
