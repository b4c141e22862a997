#include "factorization/nonnegative/nonnegative_cpu.h"

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/nonnegative/nonnegative_kernels.h"

namespace sartor::cuda {

void nonnegative_update_cpu(Context& context, const NonnegativeTask& task) {
  const CpuBackend& device = cpu(context);
  const NonnegativeKernels& kernels = best_of(device.isa, v3::nonnegative_kernels, v4::nonnegative_kernels);
  const int64_t bytes = kernels.scratch_bytes(task.fixed.columns);  // per thread
  char* scratch = static_cast<char*>(context.scratch(bytes * device.threads));
  constexpr int64_t grain = 8;  // rows per range; small, because rows differ in cost
  parallel_for(device.threads, task.solved.rows, grain, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t row = begin; row < end; row++) kernels.update_row(task, row, scratch + thread * bytes);
  });
}

}  // namespace sartor::cuda
