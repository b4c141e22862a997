// Divides scratch memory into arrays.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sartor::cuda {

// Places arrays one after the other, aligned to 256 bytes. Without memory, only adds up their sizes.
class Arrays {
 public:
  explicit Arrays(char* memory) : memory_(memory) {}

  template <class T> void place(T*& array, int64_t count) {
    array = memory_ ? reinterpret_cast<T*>(memory_ + bytes_) : nullptr;
    bytes_ += (static_cast<size_t>(count) * sizeof(T) + 255) / 256 * 256;
  }
  size_t bytes() const { return bytes_; }

 private:
  char* memory_;
  size_t bytes_ = 0;
};

}  // namespace sartor::cuda
