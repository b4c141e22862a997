#include "factorization/sgd/svdpp.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void svdpp_epoch(Context& context, const SvdppTask& task) {
  const int64_t columns = task.users.rows.columns;
  require(columns == task.items.rows.columns && columns == task.implicit.columns,
          "svdpp_epoch: users have {} columns, items {}, implicit {}", columns, task.items.rows.columns,
          task.implicit.columns);
  require(columns > 0 && columns % sgd_padding == 0, "svdpp_epoch: {} columns, expected a multiple of {}", columns,
          sgd_padding);
  require(task.items.rows.rows == task.implicit.rows, "svdpp_epoch: items have {} rows, implicit {}",
          task.items.rows.rows, task.implicit.rows);
  require(task.ratings.rows == task.users.rows.rows, "svdpp_epoch: ratings have {} rows, users {}", task.ratings.rows,
          task.users.rows.rows);
  require(task.batches.batch_users >= 1, "svdpp_epoch: {} users per batch, expected 1 or more",
          task.batches.batch_users);
  require(task.params.learning_rate > 0, "svdpp_epoch: learning_rate is {}, expected more than 0",
          task.params.learning_rate);
  require(!context.is_gpu(), "svdpp_epoch: runs on CPUs only");
  *task.squared_error = 0;
  const ProfilerRange range("svdpp_epoch");
  context.operations().svdpp_epoch(context, task);
}

}  // namespace sartor::cuda
