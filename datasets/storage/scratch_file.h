// Values that wait on disk: a temporary file without a name, which is gone with the process, however that ends.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>

namespace sartor::datasets {

// Failures of the file system are std::system_error. One thread at a time.
class ScratchFile {
 public:
  // In `folder`, or in the working folder if that is empty.
  explicit ScratchFile(const std::filesystem::path& folder);

  // Writes values behind those that are there and returns the offset of the first, in bytes.
  template <class T> int64_t append(std::span<const T> values) { return append(values.data(), values.size_bytes()); }

  // Reads the values that begin at an offset. Reading on where the last read ended costs no seek.
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
  int64_t position_ = 0;  // of the file
  bool reading_ = false;  // the last access; stdio wants a seek between reading and writing
};

}  // namespace sartor::datasets
