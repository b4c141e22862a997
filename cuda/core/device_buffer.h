// An array in the memory of a context's device.
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/require.h"
#include "core/context.h"

namespace sartor::cuda {

// `size` elements, not initialized. Must not outlive its context. On the CPU data() is host memory.
template <class T> class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  DeviceBuffer() = default;
  DeviceBuffer(Context& context, int64_t size) : backend_(&context.backend()), size_(size) {
    require(size >= 0, "DeviceBuffer: size is {}", size);
    if (size > 0) data_ = static_cast<T*>(backend_->allocate(bytes(size)));
  }
  DeviceBuffer(Context& context, std::span<const T> values) : DeviceBuffer(context, std::ssize(values)) {
    write(values);
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer other) noexcept {
    swap(other);
    return *this;
  }
  ~DeviceBuffer() {
    if (data_) backend_->release(data_);
  }

  T* data() const { return data_; }
  int64_t size() const { return size_; }

  // Copies host values to elements offset to offset + values.size() - 1. Throws std::invalid_argument if out of range.
  void write(std::span<const T> values, int64_t offset = 0) {
    check(offset, std::ssize(values));
    if (!values.empty()) backend_->copy_in(data_ + offset, values.data(), values.size_bytes());
  }
  // Copies elements offset to offset + values.size() - 1 to the host.
  void read(std::span<T> values, int64_t offset = 0) const {
    check(offset, std::ssize(values));
    if (!values.empty()) backend_->copy_out(values.data(), data_ + offset, values.size_bytes());
  }
  std::vector<T> to_host() const {
    std::vector<T> values(size_);
    read(values);
    return values;
  }
  void fill_zero() {
    if (size_ > 0) backend_->fill_zero(data_, bytes(size_));
  }

 private:
  static size_t bytes(int64_t size) { return static_cast<size_t>(size) * sizeof(T); }
  void check(int64_t offset, int64_t count) const {
    require(offset >= 0 && count <= size_ - offset, "DeviceBuffer: elements {} to {} of {}", offset, offset + count,
            size_);
  }
  void swap(DeviceBuffer& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  Backend* backend_ = nullptr;
  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace sartor::cuda
