#include "factorization/bayesian/posterior.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void draw_posterior(Context& context, const PosteriorTask& task) {
  const int64_t columns = task.solved.columns, rows = task.solved.rows;
  require(columns >= 1 + task.biases, "draw_posterior: {} columns, expected {} or more", columns, 1 + task.biases);
  require(task.fixed.columns == columns, "draw_posterior: fixed has {} columns, solved {}", task.fixed.columns,
          columns);
  require(task.ratings.rows == rows, "draw_posterior: ratings have {} rows, solved {}", task.ratings.rows, rows);
  require(task.precision.rows == columns && task.precision.columns == columns,
          "draw_posterior: precision is {} x {}, expected {} x {}", task.precision.rows, task.precision.columns,
          columns, columns);
  require(task.pull.columns == columns && (task.pull.rows == rows || task.pull.rows == 1),
          "draw_posterior: pull is {} x {}, expected 1 or {} rows of {}", task.pull.rows, task.pull.columns, rows,
          columns);
  require(task.noise_precision > 0, "draw_posterior: noise_precision is {}, expected above 0", task.noise_precision);
  if (rows == 0) return;
  const ProfilerRange range("draw_posterior");
  context.operations().draw_posterior(context, task);
}

void row_moments(Context& context, const MomentsTask& task) {
  const ProfilerRange range("row_moments");
  context.operations().row_moments(context, task);
}

}  // namespace sartor::cuda
