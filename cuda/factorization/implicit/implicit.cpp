#include "factorization/implicit/implicit.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void implicit_update(Context& context, const ImplicitTask& task) {
  const auto& [entries, fixed, gram, solved, params] = task;
  require(fixed.columns == solved.columns, "implicit_update: fixed has {} factors, solved {}", fixed.columns,
          solved.columns);
  require(fixed.columns >= 1, "implicit_update: {} factors, expected 1 or more", fixed.columns);
  require(entries.rows == solved.rows, "implicit_update: entries have {} rows, solved {}", entries.rows, solved.rows);
  require(params.alpha >= 0, "implicit_update: alpha is {}, expected 0 or more", params.alpha);
  require(params.unobserved_weight >= 0, "implicit_update: unobserved_weight is {}, expected 0 or more",
          params.unobserved_weight);
  require(params.regularization >= 0, "implicit_update: regularization is {}, expected 0 or more",
          params.regularization);
  require(0 <= params.regularization_power && params.regularization_power <= 1,
          "implicit_update: regularization_power is {}, expected 0 to 1", params.regularization_power);
  require(params.cg_steps >= 1, "implicit_update: cg_steps is {}, expected 1 or more", params.cg_steps);
  require(params.block >= 1, "implicit_update: block is {}, expected 1 or more", params.block);
  if (entries.rows == 0) return;
  const ProfilerRange range("implicit_update");
  context.operations().implicit_update(context, task);
}

void gram(Context& context, const GramTask& task) {
  const auto& [rows, first, last, gram] = task;
  require(rows.columns >= 1, "gram: {} factors, expected 1 or more", rows.columns);
  require(0 <= first && first <= last && last <= rows.columns, "gram: rows {} to {}, expected at most {}", first, last,
          rows.columns);
  require(first % gram_tile == 0 && (last % gram_tile == 0 || last == rows.columns),
          "gram: rows {} to {}, expected multiples of {}", first, last, gram_tile);
  if (first == last) return;
  const ProfilerRange range("gram");
  context.operations().gram(context, task);
}

}  // namespace sartor::cuda
