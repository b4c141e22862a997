// The device that operations run on, with its scratch memory.
#pragma once

#include <memory>
#include <utility>

#include "core/backend.h"
#include "core/isa.h"

namespace sartor::cuda {

class Context {
 public:
  // The CPU with `threads` threads (0: all that are available to this process) and kernels compiled for `isa`. Throws
  // std::invalid_argument if the CPU does not support `isa`.
  static Context cpu(int threads = 0, Isa isa = best_isa(Isa::v4_vnni));

  // GPU number `ordinal`. Throws std::runtime_error if the build has no CUDA support, or if the module, a driver or a
  // GPU of a supported architecture is missing.
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

  // See Backend::use_stream.
  void use_stream(void* stream) { backend_->use_stream(stream); }

  // Device memory of at least `bytes` bytes. Valid until the next call, which reuses or reallocates it.
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
