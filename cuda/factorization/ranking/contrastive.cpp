#include "factorization/ranking/contrastive.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {
namespace {

constexpr int64_t most = 1 << 20;

template <class Task> void require_shapes(const char* name, const Task& task) {
  require(task.users.data == nullptr || task.users.columns == task.items.columns, "{}: users have {} factors, items {}",
          name, task.users.columns, task.items.columns);
  require(task.items.columns >= 1, "{}: {} factors, expected 1 or more", name, task.items.columns);
  require(task.users.data == nullptr || task.chosen.rows == task.users.rows, "{}: {} lists of items for {} users", name,
          task.chosen.rows, task.users.rows);
}

void require_weight(const char* name, float weight) {
  require(0 <= weight && weight <= 1, "{}: history_weight is {}, expected 0 to 1", name, weight);
}

}  // namespace

void contrastive_epoch(Context& context, const ContrastiveTask& task) {
  constexpr const char* name = "contrastive_epoch";
  const ContrastiveParams& params = task.params;
  require_shapes(name, task);
  require(params.learning_rate > 0, "{}: learning_rate is {}, expected more than 0", name, params.learning_rate);
  require(-1 <= params.margin && params.margin <= 1, "{}: margin is {}, expected -1 to 1", name, params.margin);
  require(params.negative_weight >= 0, "{}: negative_weight is {}, expected 0 or more", name, params.negative_weight);
  require(1 <= params.negatives && params.negatives <= most, "{}: negatives is {}, expected 1 to {}", name,
          params.negatives, most);
  require(1 <= params.batch && params.batch <= most, "{}: batch is {}, expected 1 to {}", name, params.batch, most);
  require_weight(name, params.history_weight);
  require(!task.peers || !context.is_gpu(), "{}: peers do not share the users on a GPU", name);
  if (task.users.rows == 0 || task.items.rows == 0) return;
  const ProfilerRange range(name);
  context.operations().contrastive_epoch(context, task);
}

void contrastive_users(Context& context, const ContrastiveUsersTask& task) {
  constexpr const char* name = "contrastive_users";
  require_shapes(name, task);
  require(task.vectors.rows == task.chosen.rows && task.vectors.columns == task.items.columns,
          "{}: vectors are ({}, {}), expected ({}, {})", name, task.vectors.rows, task.vectors.columns,
          task.chosen.rows, task.items.columns);
  require_weight(name, task.history_weight);
  if (task.vectors.rows == 0) return;
  const ProfilerRange range(name);
  context.operations().contrastive_users(context, task);
}

}  // namespace sartor::cuda
