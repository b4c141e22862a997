#include "factorization/als_cpu.h"

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/als_kernels.h"

namespace sartor::cuda {

void als_update_cpu(Context& context, const AlsTask& task) {
  const CpuBackend& device = cpu(context);
  const AlsKernels& kernels = best_of(device.isa, v3::als_kernels, v4::als_kernels);
  const int64_t bytes = kernels.scratch_bytes(task.fixed.columns);  // per thread
  char* scratch = static_cast<char*>(context.scratch(bytes * device.threads));
  constexpr int64_t grain = 8;  // rows per range; small, because rows differ in cost
  parallel_for(device.threads, task.ratings.rows, grain, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t row = begin; row < end; row++) kernels.solve_row(task, row, scratch + thread * bytes);
  });
}

}  // namespace sartor::cuda
