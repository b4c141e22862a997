#include "linear/add_product_cpu.h"

#include "core/cpu_backend.h"
#include "transformer/matmul.h"

namespace sartor::cuda {
namespace {

Operand operand(Rows<const float> matrix, bool by_columns) {
  if (by_columns) return {matrix.data, 1, matrix.columns, Store::fp32};
  return {matrix.data, matrix.columns, 1, Store::fp32};
}

}  // namespace

void add_product_cpu(Context& context, const AddProductTask& task) {
  const auto& sum = task.sum;
  const int threads = cpu(context).threads;
  const MatmulTask product = {.rows = sum.rows,
                              .columns = sum.columns,
                              .depth = task.left_transposed ? task.left.rows : task.left.columns,
                              .left = operand(task.left, task.left_transposed),
                              .right = operand(task.right, !task.right_transposed),
                              .add = true,
                              .c = sum.data,
                              .c_stride = sum.columns,
                              .c_store = Store::fp32,
                              .products = Store::fp32};
  matmul(product, threads, context.scratch(matmul_scratch(product, threads)));
}

}  // namespace sartor::cuda
