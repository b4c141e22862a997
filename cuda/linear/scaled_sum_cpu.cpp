#include "linear/scaled_sum_cpu.h"

#include "core/cpu_backend.h"
#include "core/parallel_for.h"

namespace sartor::cuda {

void scaled_sum_cpu(Context& context, const ScaledSumTask& task) {
  const auto [sum, other, size, a, b] = task;
  parallel_for(cpu(context).threads, size, 1 << 16, [=](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) sum[i] = a == 0 ? b * other[i] : a * sum[i] + b * other[i];
  });
}

}  // namespace sartor::cuda
