#include "sparse/filters/graph_filter.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void graph_filter(Context& context, const GraphFilterTask& task) {
  require(task.coefficients.size() >= 2, "graph_filter: {} coefficients, expected 2 or more", task.coefficients.size());
  require(task.by_item.rows == task.filtered.columns, "graph_filter: {} items, filtered has {} columns",
          task.by_item.rows, task.filtered.columns);
  require(task.signals.rows == task.filtered.rows, "graph_filter: {} signals, filtered has {} rows", task.signals.rows,
          task.filtered.rows);
  if (task.filtered.rows == 0 || task.filtered.columns == 0) return;
  const ProfilerRange range("graph_filter");
  context.operations().graph_filter(context, task);
}

}  // namespace sartor::cuda
