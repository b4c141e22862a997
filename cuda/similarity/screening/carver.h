// Divides a block of memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sartor::cuda {

// Allocates parts of one block of memory; if the block is null, only computes the size.
class Carver {
 public:
  explicit Carver(void* block) : block_(static_cast<char*>(block)) {}
  template <class T> T* take(int64_t size) {
    T* part = block_ ? reinterpret_cast<T*>(block_ + bytes_) : nullptr;
    bytes_ += (static_cast<size_t>(size) * sizeof(T) + 63) / 64 * 64;
    return part;
  }
  size_t bytes() const { return bytes_; }

 private:
  char* block_;
  size_t bytes_ = 0;
};

}  // namespace sartor::cuda
