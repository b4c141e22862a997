#include "core/profiler_range.h"

#ifndef SARTOR_WITHOUT_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace sartor::cuda {

#ifdef SARTOR_WITHOUT_CUDA
ProfilerRange::ProfilerRange(const char*) {}
ProfilerRange::~ProfilerRange() {}
#else
ProfilerRange::ProfilerRange(const char* name) { nvtxRangePushA(name); }
ProfilerRange::~ProfilerRange() { nvtxRangePop(); }
#endif

}  // namespace sartor::cuda
