// The global heap of an HDF5 file, which stores its variable-length strings.
//
// HDF5 1.10 reads out of bounds if the heap of a file is damaged. This reader follows the HDF5 File Format
// Specification, III.E, and checks every bound.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sartor::datasets {

// A stored string: 4 bytes size, 8 bytes address of the heap collection, 4 bytes index of the object in it.
using HeapReference = std::array<unsigned char, 16>;

class Hdf5Heap {
 public:
  // `name` is used in messages; `file` is a descriptor of the open file, which has `file_size` bytes.
  Hdf5Heap(std::string name, int file, uint64_t file_size)
      : name_(std::move(name)), file_(file), file_size_(file_size) {}

  // The view is valid until the next call. Throws std::invalid_argument if the reference or the heap is invalid.
  std::string_view string(const HeapReference& reference);

  uint64_t file_size() const { return file_size_; }

 private:
  void load(uint64_t address);

  std::string name_;
  int file_;
  uint64_t file_size_;
  uint64_t address_ = UINT64_MAX;  // of the loaded collection
  std::string collection_;
  std::vector<std::string_view> objects_;  // by index
};

}  // namespace sartor::datasets
