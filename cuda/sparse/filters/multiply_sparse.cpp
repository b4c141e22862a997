#include "sparse/filters/multiply_sparse.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void multiply_sparse(Context& context, const MultiplySparseTask& task) {
  require(task.left.rows == task.product.rows, "multiply_sparse: left has {} rows, product {}", task.left.rows,
          task.product.rows);
  if (task.product.rows == 0 || task.product.columns == 0) return;
  const ProfilerRange range("multiply_sparse");
  context.operations().multiply_sparse(context, task);
}

}  // namespace sartor::cuda
