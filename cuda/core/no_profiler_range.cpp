// profiler_range.h for builds without CUDA, which have no NVTX.
#include "core/profiler_range.h"

namespace sartor::cuda {

ProfilerRange::ProfilerRange(const char*) {}
ProfilerRange::~ProfilerRange() {}

}  // namespace sartor::cuda
