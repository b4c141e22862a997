#include "sparse/filters/multiply_sparse_cpu.h"

#include <algorithm>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"

namespace sartor::cuda {

void multiply_sparse_cpu(Context& context, const MultiplySparseTask& task) {
  const auto& [left, right, product] = task;
  parallel_for(cpu(context).threads, left.rows, 8, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      float* const sums = product.row(row);
      std::fill_n(sums, product.columns, 0.0f);
      for (int64_t at = left.offsets[row]; at < left.offsets[row + 1]; at++) {
        const float value = left.values[at];
        const int64_t of = left.columns[at];
        for (int64_t entry = right.offsets[of]; entry < right.offsets[of + 1]; entry++) {
          sums[right.columns[entry]] += value * right.values[entry];
        }
      }
    }
  });
}

}  // namespace sartor::cuda
