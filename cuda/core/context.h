// Where operations run: a device, its scratch memory, and how many threads the CPU gives.
#pragma once

#include <memory>
#include <utility>

#include "core/backend.h"
#include "core/isa.h"

namespace sartor::cuda {

class Context {
 public:
  // The CPU with `threads` threads (0: all that this process may use) and kernels built for `isa`.
  // Throws std::invalid_argument when the CPU lacks `isa`.
  static Context cpu(int threads = 0, Isa isa = best_isa());

  // GPU number `ordinal`. Throws std::runtime_error that says what is missing: the build without CUDA, the module,
  // a driver, a device of a supported architecture.
  static Context gpu(int ordinal = 0);

  explicit Context(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}
  Context(Context&& other) noexcept
      : backend_(std::move(other.backend_)),
        scratch_(std::exchange(other.scratch_, nullptr)),
        scratch_bytes_(std::exchange(other.scratch_bytes_, 0)) {}
  ~Context() {
    if (scratch_) backend_->release(scratch_);
  }

  Backend& backend() const { return *backend_; }
  const Operations& operations() const { return backend_->operations(); }
  bool is_gpu() const { return backend_->is_gpu(); }

  // Device memory of at least `bytes`, kept for the next call, which may move it: one holder at a time.
  void* scratch(size_t bytes);

 private:
  std::unique_ptr<Backend> backend_;
  void* scratch_ = nullptr;
  size_t scratch_bytes_ = 0;
};

inline void* Context::scratch(size_t bytes) {
  if (bytes > scratch_bytes_) {
    if (scratch_) backend_->release(scratch_);
    scratch_ = nullptr;
    scratch_bytes_ = 0;
    scratch_ = backend_->allocate(bytes);
    scratch_bytes_ = bytes;
  }
  return scratch_;
}

}  // namespace sartor::cuda
