#include "factorization/nonnegative/nonnegative.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void nonnegative_update(Context& context, const NonnegativeTask& task) {
  const auto& params = task.params;
  const int64_t columns = task.solved.columns, least = 1 + task.biases;
  require(columns >= least, "nonnegative_update: {} columns, expected {} or more", columns, least);
  require(task.fixed.columns == columns, "nonnegative_update: fixed has {} columns, solved {}", task.fixed.columns,
          columns);
  require(task.ratings.rows == task.solved.rows, "nonnegative_update: ratings have {} rows, solved {}",
          task.ratings.rows, task.solved.rows);
  require(params.regularization >= 0, "nonnegative_update: regularization is {}, expected 0 or more",
          params.regularization);
  require(params.bias_regularization >= 0, "nonnegative_update: bias_regularization is {}, expected 0 or more",
          params.bias_regularization);
  require(0 <= params.regularization_power && params.regularization_power <= 1,
          "nonnegative_update: regularization_power is {}, expected 0 to 1", params.regularization_power);
  require(params.steps >= 1, "nonnegative_update: steps is {}, expected 1 or more", params.steps);
  require(!task.biases || (params.solver == NonnegativeSolver::projected && !task.gram),
          "nonnegative_update: biases are combined with the multiplicative solver or with gram");
  require(!context.is_gpu(), "nonnegative_update: runs on CPUs only");
  if (task.solved.rows == 0) return;
  const ProfilerRange range("nonnegative_update");
  context.operations().nonnegative_update(context, task);
}

}  // namespace sartor::cuda
