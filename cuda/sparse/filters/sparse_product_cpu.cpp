#include "sparse/filters/sparse_product_cpu.h"

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "sparse/filters/filter_kernels.h"

namespace sartor::cuda {

void sparse_product_cpu(Context& context, const SparseProductTask& task) {
  constexpr int64_t grain = 256;  // rows
  const FilterKernels& kernels = filter_kernels(cpu(context).isa);
  parallel_for(cpu(context).threads, task.matrix.rows, grain, [&](int64_t begin, int64_t end, int) {
    kernels.multiply(
        {.matrix = task.matrix, .right = task.right.data, .to = task.product.data, .columns = task.right.columns},
        begin, end);
  });
}

}  // namespace sartor::cuda
