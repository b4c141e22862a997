#include "runtime/memory.h"

#include <ATen/DeviceAccelerator.h>
#include <malloc.h>

#include <fstream>
#include <string>

namespace sartor {

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most that glibc allows
  mallopt(M_TRIM_THRESHOLD, -1);
}

// Not getrusage(): its figure begins with that of the process that started this one.
double peak_resident_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

double peak_gpu_mib(int gpu) {
  if (gpu < 0) return 0;
  const auto stats = at::accelerator::getDeviceStats(static_cast<c10::DeviceIndex>(gpu));
  constexpr size_t all = 0;  // small and large blocks together
  return static_cast<double>(stats.reserved_bytes[all].peak) / (1 << 20);
}

}  // namespace sartor
