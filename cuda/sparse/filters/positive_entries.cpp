#include "sparse/filters/positive_entries.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void count_positive(Context& context, const CountPositiveTask& task) {
  if (task.dense.rows == 0) return;
  const ProfilerRange range("count_positive");
  context.operations().count_positive(context, task);
}

void take_positive(Context& context, const TakePositiveTask& task) {
  require(task.dense.columns < int64_t{1} << 31, "take_positive: {} columns, expected less than 2^31",
          task.dense.columns);
  if (task.dense.rows == 0) return;
  const ProfilerRange range("take_positive");
  context.operations().take_positive(context, task);
}

}  // namespace sartor::cuda
