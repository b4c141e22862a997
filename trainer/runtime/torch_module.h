// Loads libsartor_torch_cuda.so, the module that links libtorch_cuda: GPU tensors and NCCL.
// It must be loaded before the process's first ATen call. The first call that asks ATen for CUDA (at::manual_seed is
// enough) determines for the life of the process whether CUDA is available.
#pragma once

#include <chrono>
#include <string>

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace sartor {

// What the module exports as `sartor_torch_module`. `version` guards against a module of another build.
struct TorchModule {
  const char* version;
  int (*device_count)(std::string& why_not);  // 0 and the reason if there is no GPU
  // Creates an NCCL backend for `size` ranks with the given timeout of collectives. The caller owns it
  // (c10::intrusive_ptr::reclaim). Throws c10::Error.
  c10d::Backend* (*make_nccl)(c10d::Store* store, int rank, int size, std::chrono::milliseconds timeout);
};

struct TorchModuleSearch {
  const TorchModule* module = nullptr;  // null if there is no module
  std::string why_not;                  // the reason in that case, one line
};

// Finds the module in ../lib relative to the program and loads it on the first call. Never throws.
TorchModuleSearch find_torch_module();

}  // namespace sartor
