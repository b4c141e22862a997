#include "linear/add_product_cpu.h"

#include "core/cpu_backend.h"
#include "transformer/matmul.h"

namespace sartor::cuda {

void add_product_cpu(Context& context, const AddProductTask& task) {
  const auto& [left, right, sum] = task;
  const int threads = cpu(context).threads;
  const MatmulTask product = {.rows = sum.rows,
                              .columns = sum.columns,
                              .depth = left.columns,
                              .left = {left.data, left.columns, 1, Store::fp32},
                              .right = {right.data, 1, right.columns, Store::fp32},
                              .add = true,
                              .c = sum.data,
                              .c_stride = sum.columns,
                              .c_store = Store::fp32,
                              .products = Store::fp32};
  matmul(product, threads, context.scratch(matmul_scratch(product, threads)));
}

}  // namespace sartor::cuda
