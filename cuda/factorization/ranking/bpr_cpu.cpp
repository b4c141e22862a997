#include "factorization/ranking/bpr_cpu.h"

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/ranking/bpr_kernels.h"

namespace sartor::cuda {

void bpr_epoch_cpu(Context& context, const BprTask& task) {
  const BprKernels& kernels = best_of(cpu(context).isa, v3::bpr_kernels, v4::bpr_kernels);
  for (int64_t diagonal = task.first_diagonal; diagonal < task.last_diagonal; diagonal++) {
    parallel_for(cpu(context).threads, task.last_row - task.first_row, 1, [&](int64_t place, int64_t, int) {
      const int64_t row = task.first_row + place;
      kernels.train_cell(task, row, (row + diagonal) % task.blocks);
    });
  }
}

}  // namespace sartor::cuda
