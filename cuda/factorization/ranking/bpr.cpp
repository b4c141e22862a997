#include "factorization/ranking/bpr.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void bpr_epoch(Context& context, const BprTask& given) {
  BprTask task = given;
  if (task.last_row == all_blocks) task.last_row = task.blocks;
  if (task.last_diagonal == all_blocks) task.last_diagonal = task.blocks;
  const BprParams& params = task.params;
  require(task.users.columns == task.items.columns, "bpr_epoch: users have {} factors, items {}", task.users.columns,
          task.items.columns);
  require(task.users.columns >= 1, "bpr_epoch: {} factors, expected 1 or more", task.users.columns);
  require(task.chosen.rows == task.users.rows, "bpr_epoch: {} lists of items for {} users", task.chosen.rows,
          task.users.rows);
  require(task.blocks >= 1, "bpr_epoch: {} blocks, expected 1 or more", task.blocks);
  require(0 <= task.first_row && task.first_row <= task.last_row && task.last_row <= task.blocks,
          "bpr_epoch: rows {} to {}, expected at most {}", task.first_row, task.last_row, task.blocks);
  require(0 <= task.first_diagonal && task.first_diagonal <= task.last_diagonal && task.last_diagonal <= task.blocks,
          "bpr_epoch: diagonals {} to {}, expected at most {}", task.first_diagonal, task.last_diagonal, task.blocks);
  require(params.learning_rate > 0, "bpr_epoch: learning_rate is {}, expected more than 0", params.learning_rate);
  require(params.regularization >= 0, "bpr_epoch: regularization is {}, expected 0 or more", params.regularization);
  require(1 <= params.candidates && params.candidates <= most_bpr_candidates,
          "bpr_epoch: candidates is {}, expected 1 to {}", params.candidates, most_bpr_candidates);
  const ProfilerRange range("bpr_epoch");
  context.operations().bpr_epoch(context, task);
}

}  // namespace sartor::cuda
