#include "core/profiler_range.h"

#include <nvtx3/nvToolsExt.h>

namespace sartor::cuda {

ProfilerRange::ProfilerRange(const char* name) { nvtxRangePushA(name); }
ProfilerRange::~ProfilerRange() { nvtxRangePop(); }

}  // namespace sartor::cuda
