#include "linear/add_product.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {
namespace {

struct Shape {
  int64_t rows, columns;

  Shape(Rows<const float> matrix, bool transposed)
      : rows(transposed ? matrix.columns : matrix.rows), columns(transposed ? matrix.rows : matrix.columns) {}
};

}  // namespace

void add_product(Context& context, const AddProductTask& task) {
  const Shape left(task.left, task.left_transposed), right(task.right, task.right_transposed);
  const auto& sum = task.sum;
  require(left.columns == right.columns, "add_product: left has {} columns, right {}", left.columns, right.columns);
  require(left.rows == sum.rows && right.rows == sum.columns, "add_product: sum is {} x {}, expected {} x {}", sum.rows,
          sum.columns, left.rows, right.rows);
  if (sum.rows == 0 || sum.columns == 0 || left.columns == 0) return;
  const ProfilerRange range("add_product");
  context.operations().add_product(context, task);
}

}  // namespace sartor::cuda
