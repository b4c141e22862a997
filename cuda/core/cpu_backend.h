// Backend of the CPU.
#pragma once

#include <memory>

#include "core/context.h"

namespace sartor::cuda {

struct CpuBackend : Backend {
  CpuBackend(int threads, Isa isa) : threads(threads), isa(isa) {}

  bool is_gpu() const override { return false; }
  std::string description() const override;
  const Operations& operations() const override;  // in operations_cpu.cpp
  void* allocate(size_t bytes) override;
  void release(void* memory) noexcept override;
  size_t free_bytes() const override;
  void copy_in(void* to_device, const void* from_host, size_t bytes) override;
  void copy_out(void* to_host, const void* from_device, size_t bytes) override;
  void fill_zero(void* memory, size_t bytes) override;
  void synchronize() override {}
  void use_stream(void*) override {}

  const int threads;
  const Isa isa;
};

// The backend of a CPU context. For CPU versions of operations.
inline CpuBackend& cpu(Context& context) { return static_cast<CpuBackend&>(context.backend()); }

}  // namespace sartor::cuda
