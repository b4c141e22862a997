// libsartor_kernels.so, the module with the GPU's backend: found beside the program (../lib), loaded on first use and
// kept.
#pragma once

#include <memory>
#include <string>

#include "core/backend.h"

namespace sartor::cuda {

// What the module exports as `sartor_gpu_module`. `version` guards against a module of another build.
struct GpuModule {
  const char* version;
  int (*device_count)(std::string& why_not);  // 0 with the reason where there is none
  Backend* (*open)(int ordinal);
};

struct GpuSearch {
  const GpuModule* module = nullptr;  // null where there is none
  std::string why_not;                // then the reason, one line
};

// Loads the module. Never throws: programs ask for a GPU before they know that there is one.
GpuSearch find_gpu_module();

// Devices that device: cuda could use; 0 with the reason in `why_not` if given.
int gpu_count(std::string* why_not = nullptr);

}  // namespace sartor::cuda
