// libsartor_torch_cuda.so, the module that brings libtorch_cuda in: tensors on GPUs, and NCCL between them.
// Load it before the process's first ATen call: whichever call first asks ATen for CUDA (at::manual_seed is enough)
// fixes the answer for the life of the process, and before the load that answer is "no CUDA".
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
  int (*device_count)(std::string& why_not);  // 0 with the reason where there is none
  // A process group of `size` ranks, whose collectives fail after `timeout`; the caller owns it
  // (c10::intrusive_ptr::reclaim). Throws c10::Error.
  c10d::Backend* (*make_nccl)(c10d::Store* store, int rank, int size, std::chrono::milliseconds timeout);
};

struct TorchModuleSearch {
  const TorchModule* module = nullptr;  // null where there is none
  std::string why_not;                  // then the reason, one line
};

// Finds it beside the program (../lib), loads it on first use and keeps it. Never throws.
TorchModuleSearch find_torch_module();

}  // namespace sartor
