#include "factorization/sgd/svdpp_cpu.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/sgd/svdpp_kernels.h"

namespace sartor::cuda {

void svdpp_epoch_cpu(Context& context, const SvdppTask& task) {
  const CpuBackend& device = cpu(context);
  const SvdppKernels& kernels = best_of(device.isa, v3::svdpp_kernels, v4::svdpp_kernels);
  const SvdppBatches& batches = task.batches;
  const int64_t columns = task.users.rows.columns;
  float* states = static_cast<float*>(context.scratch(2 * columns * batches.batch_users * sizeof(float)));
  std::vector<double> errors(batches.count);  // of each user
  int64_t batch = 0;
  for (int64_t first = 0; first < batches.count; first += batches.batch_users, batch++) {
    const int64_t size = std::min(batches.batch_users, batches.count - first);
    parallel_for(device.threads, size, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t place = begin; place < end; place++) {
        float* state = states + 2 * columns * place;
        errors[first + place] = kernels.train_user(task, batches.users[first + place], {state, state + columns});
      }
    });
    constexpr int64_t grain = 16;  // items per range
    parallel_for(device.threads, batches.offsets[batch + 1] - batches.offsets[batch], grain,
                 [&](int64_t begin, int64_t end, int) {
                   const SvdppVisit* visits = batches.visits + batches.offsets[batch];
                   for (int64_t at = begin; at < end; at++) kernels.train_item(task, visits + at, states);
                 });
  }
  *task.squared_error = std::accumulate(errors.begin(), errors.end(), 0.0);
}

}  // namespace sartor::cuda
