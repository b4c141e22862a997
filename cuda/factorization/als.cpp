#include "factorization/als.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void als_update(Context& context, const AlsTask& task) {
  const auto& [ratings, mean, fixed, fixed_bias, solved, solved_bias, params] = task;
  require(fixed.columns == solved.columns, "als_update: fixed has {} factors, solved {}", fixed.columns,
          solved.columns);
  require(fixed.columns >= 1, "als_update: {} factors, expected 1 or more", fixed.columns);
  require(ratings.rows == solved.rows, "als_update: ratings have {} rows, solved {}", ratings.rows, solved.rows);
  require((fixed_bias == nullptr) == (solved_bias == nullptr) || fixed.rows == 0 || solved.rows == 0,
          "als_update: fixed has {} bias, solved has {}", fixed_bias ? "a" : "no", solved_bias ? "one" : "none");
  require(params.regularization >= 0, "als_update: regularization is {}, expected 0 or more", params.regularization);
  require(params.bias_regularization >= 0, "als_update: bias_regularization is {}, expected 0 or more",
          params.bias_regularization);
  require(0 <= params.regularization_power && params.regularization_power <= 1,
          "als_update: regularization_power is {}, expected 0 to 1", params.regularization_power);
  if (ratings.rows == 0) return;
  const ProfilerRange range("als_update");
  context.operations().als_update(context, task);
}

}  // namespace sartor::cuda
