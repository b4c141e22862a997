#include "linear/invert_spd.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void invert_spd(Context& context, const InvertSpdTask& task) {
  require(task.matrix.rows == task.matrix.columns, "invert_spd: the matrix is {} x {}, expected a square",
          task.matrix.rows, task.matrix.columns);
  require(!context.is_gpu(), "invert_spd: runs on CPUs only for now");
  if (task.matrix.rows == 0) return;
  const ProfilerRange range("invert_spd");
  context.operations().invert_spd(context, task);
}

}  // namespace sartor::cuda
