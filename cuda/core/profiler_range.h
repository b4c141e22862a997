// Named ranges for profilers (NVTX, shown by Nsight Systems).
#pragma once

namespace sartor::cuda {

// Marks the time from construction to destruction on the calling thread. Ranges nest. GPU work is attributed to the
// range in which it is launched. No effect without a profiler or in a build without CUDA.
class ProfilerRange {
 public:
  explicit ProfilerRange(const char* name);
  ~ProfilerRange();
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

}  // namespace sartor::cuda
