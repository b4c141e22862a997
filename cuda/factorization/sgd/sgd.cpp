#include "factorization/sgd/sgd.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void sgd_rounds(Context& context, const SgdTask& task) {
  const int64_t columns = task.users.rows.columns, blocks = task.grid.blocks;
  require(columns == task.items.rows.columns, "sgd_rounds: users have {} columns, items {}", columns,
          task.items.rows.columns);
  require(columns > 0 && columns % sgd_padding == 0, "sgd_rounds: {} columns, expected a multiple of {}", columns,
          sgd_padding);
  require(1 <= task.factors && task.factors <= columns - sgd_bias_columns,
          "sgd_rounds: {} factors, expected 1 to {} for {} columns", task.factors, columns - sgd_bias_columns, columns);
  require((task.users.squares == nullptr) == (task.items.squares == nullptr),
          "sgd_rounds: either both sides or none have squares");
  require(blocks >= 1, "sgd_rounds: {} blocks, expected 1 or more", blocks);
  require(0 <= task.first_users && task.first_users <= task.last_users && task.last_users <= blocks,
          "sgd_rounds: blocks of users {} to {}, expected at most {}", task.first_users, task.last_users, blocks);
  require(0 <= task.first_round && task.first_round <= task.last_round && task.last_round - task.first_round <= blocks,
          "sgd_rounds: rounds {} to {}, expected at most {}", task.first_round, task.last_round, blocks);
  require(!task.cell_errors || !context.is_gpu(), "sgd_rounds: a GPU has no errors of cells");
  require(task.params.learning_rate > 0, "sgd_rounds: learning_rate is {}, expected more than 0",
          task.params.learning_rate);
  *task.squared_error = 0;
  const ProfilerRange range("sgd_rounds");
  context.operations().sgd_rounds(context, task);
}

}  // namespace sartor::cuda
