#include "linear/scaled_sum.h"

#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void scaled_sum(Context& context, const ScaledSumTask& task) {
  if (task.size <= 0) return;
  const ProfilerRange range("scaled_sum");
  context.operations().scaled_sum(context, task);
}

}  // namespace sartor::cuda
