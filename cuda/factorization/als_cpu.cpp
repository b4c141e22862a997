#include "factorization/als_cpu.h"

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/als_kernels.h"

namespace sartor::cuda {

void als_update_cpu(Context& context, Csr<const float> ratings, float mean, Rows<const float> fixed,
                    const float* fixed_bias, Rows<float> solved, float* solved_bias, const AlsParams& params) {
  const CpuBackend& device = cpu(context);
  const AlsKernels& kernels = device.isa == Isa::v4 ? v4::als_kernels : v3::als_kernels;
  const AlsTask task = {ratings, mean, fixed, fixed_bias, solved, solved_bias, params};

  const int64_t bytes = kernels.scratch_bytes(fixed.columns);  // of a thread
  char* scratch = static_cast<char*>(context.scratch(bytes * device.threads));
  constexpr int64_t grain = 8;  // rows handed out at a time: few enough that a heavy one does not hold the end up
  parallel_for(device.threads, ratings.rows, grain, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t row = begin; row < end; row++) kernels.solve_row(task, row, scratch + thread * bytes);
  });
}

}  // namespace sartor::cuda
