// A CPU that says it is a GPU and counts the bytes that are copied from it.
#pragma once

#include "core/cpu_backend.h"

namespace sartor::testing {

class Elsewhere : public cuda::CpuBackend {
 public:
  Elsewhere() : CpuBackend(1, cuda::best_isa()) {}
  bool is_gpu() const override { return true; }
  void copy_out(void* to_host, const void* from_device, size_t bytes) override {
    copied += bytes;
    CpuBackend::copy_out(to_host, from_device, bytes);
  }
  size_t copied = 0;
};

inline cuda::Context elsewhere() { return cuda::Context(std::make_unique<Elsewhere>()); }

}  // namespace sartor::testing
