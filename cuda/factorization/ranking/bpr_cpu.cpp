#include "factorization/ranking/bpr_cpu.h"

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/ranking/bpr_kernels.h"

namespace sartor::cuda {

void bpr_epoch_cpu(Context& context, const BprTask& task) {
  const BprKernels& kernels = best_of(cpu(context).isa, v3::bpr_kernels, v4::bpr_kernels);
  for (int64_t diagonal = 0; diagonal < task.blocks; diagonal++) {
    parallel_for(cpu(context).threads, task.blocks, 1,
                 [&](int64_t row, int64_t, int) { kernels.train_cell(task, row, (row + diagonal) % task.blocks); });
  }
}

}  // namespace sartor::cuda
