// libsartor_kernels.so, the module that contains the GPU backend. It is expected in ../lib relative to the program,
// loaded on first use and never unloaded.
#pragma once

#include <memory>
#include <string>

#include "core/backend.h"
#include "core/copies.h"

namespace sartor::cuda {

// Exported by the module as `sartor_gpu_module`. `version` detects a module of another build.
struct GpuModule {
  const char* version;
  int (*device_count)(std::string& why_not);  // 0, with the reason, if there is none
  Backend* (*open)(int ordinal);
  Copies* (*open_copies)(Backend&);  // null if the backend is not one of this module
};

struct GpuSearch {
  const GpuModule* module = nullptr;  // null if not found
  std::string why_not;                // reason in one line if not found
};

// Loads the module. Does not throw, because programs also call it to find out whether there is a GPU.
GpuSearch find_gpu_module();

// Number of usable GPUs. If 0, stores the reason in `why_not` unless it is null.
int gpu_count(std::string* why_not = nullptr);

}  // namespace sartor::cuda
