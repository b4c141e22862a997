// Backend of a GPU: the stream that operations use and one cuBLAS handle.
#pragma once

#include <memory>

#include "core/context.h"
#include "core/gpu/check.cuh"
#include "core/gpu/limits.h"

namespace sartor::cuda {

// Owns a handle of a C library.
template <class Pointer, auto destroy> struct Destroy {
  void operator()(Pointer pointer) const noexcept { destroy(pointer); }
};
template <class Pointer, auto destroy> using Handle =
    std::unique_ptr<std::remove_pointer_t<Pointer>, Destroy<Pointer, destroy>>;

class GpuBackend final : public Backend {
 public:
  // Throws std::runtime_error if the GPU's architecture is older than those of this build.
  explicit GpuBackend(int ordinal);

  bool is_gpu() const override { return true; }
  std::string description() const override { return description_; }
  const Operations& operations() const override;  // in operations_gpu.cu
  void* allocate(size_t bytes) override;
  void release(void* memory) noexcept override;
  size_t free_bytes() const override;
  void copy_in(void* to_device, const void* from_host, size_t bytes) override;
  void copy_out(void* to_host, const void* from_device, size_t bytes) override;
  void fill_zero(void* memory, size_t bytes) override;
  void synchronize() override;
  void use_stream(void* stream) override;

  void use() const;  // selects this device in the calling thread

  cudaStream_t stream() const { return stream_; }
  cublasHandle_t cublas() const { return cublas_.get(); }
  const GpuLimits& limits() const { return limits_; }
  int multiprocessors() const { return limits_.multiprocessors; }

 private:
  int ordinal_;
  std::string description_;
  GpuLimits limits_;
  Handle<cudaStream_t, cudaStreamDestroy> own_stream_;
  cudaStream_t stream_ = nullptr;
  Handle<cublasHandle_t, cublasDestroy> cublas_;
};

// The backend of a GPU context. GPU versions of operations call it first: it also selects the device in this thread.
inline GpuBackend& gpu(Context& context) {
  auto& backend = static_cast<GpuBackend&>(context.backend());
  backend.use();
  return backend;
}

}  // namespace sartor::cuda
