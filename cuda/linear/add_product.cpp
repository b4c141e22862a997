#include "linear/add_product.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void add_product(Context& context, const AddProductTask& task) {
  const auto& [left, right, sum] = task;
  require(left.columns == right.columns, "add_product: left has {} columns, right {}", left.columns, right.columns);
  require(left.rows == sum.rows && right.rows == sum.columns, "add_product: sum is {} x {}, expected {} x {}", sum.rows,
          sum.columns, left.rows, right.rows);
  require(!context.is_gpu(), "add_product: runs on CPUs only for now");
  if (sum.rows == 0 || sum.columns == 0 || left.columns == 0) return;
  const ProfilerRange range("add_product");
  context.operations().add_product(context, task);
}

}  // namespace sartor::cuda
