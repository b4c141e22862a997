// The global heap of an HDF5 file, where its variable-length strings lie.
//
// HDF5 1.10 follows whatever a damaged file says of its heap and reads outside of its memory. Strings are therefore
// taken from the file here, by the published format (HDF5 File Format Specification, III.E), with every bound checked.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sartor::datasets {

// As a string stands in datasets and attributes: 4 bytes size, 8 address of a heap collection, 4 number of the object
// in it.
using HeapReference = std::array<unsigned char, 16>;

class Hdf5Heap {
 public:
  // `name` is said in messages; `file` is a descriptor of the open file of so many bytes.
  Hdf5Heap(std::string name, int file, uint64_t file_size)
      : name_(std::move(name)), file_(file), file_size_(file_size) {}

  // Valid until the next call. Throws std::invalid_argument where the reference or the heap is damaged.
  std::string_view string(const HeapReference& reference);

  uint64_t file_size() const { return file_size_; }

 private:
  void load(uint64_t address);

  std::string name_;
  int file_;
  uint64_t file_size_;
  uint64_t address_ = UINT64_MAX;  // of the collection that is loaded
  std::string collection_;
  std::vector<std::string_view> objects_;  // by number
};

}  // namespace sartor::datasets
