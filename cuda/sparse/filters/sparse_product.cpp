#include "sparse/filters/sparse_product.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void sparse_product(Context& context, const SparseProductTask& task) {
  const auto& [matrix, right, product] = task;
  require(right.columns == product.columns, "sparse_product: right has {} columns, product {}", right.columns,
          product.columns);
  require(matrix.rows == product.rows, "sparse_product: matrix has {} rows, product {}", matrix.rows, product.rows);
  if (product.rows == 0 || product.columns == 0) return;
  const ProfilerRange range("sparse_product");
  context.operations().sparse_product(context, task);
}

}  // namespace sartor::cuda
