// Names on the timeline of a profiler (NVTX, as Nsight Systems shows it).
#pragma once

namespace sartor::cuda {

// The time from construction to destruction, under `name`, on the calling thread; ranges nest. Work that a GPU does
// later counts for the range in which it was launched. Nothing happens without a profiler, or in a build without CUDA.
class ProfilerRange {
 public:
  explicit ProfilerRange(const char* name);
  ~ProfilerRange();
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

}  // namespace sartor::cuda
