// Devices of libtorch.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor {

// gpu: device index, -1 for the CPU.
inline at::Device device_of(int gpu) {
  return gpu < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu));
}

}  // namespace sartor
