#include "sparse/filters/positive_entries_cpu.h"

#include <algorithm>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"

namespace sartor::cuda {
namespace {

constexpr int64_t grain = 4;  // rows

}  // namespace

void count_positive_cpu(Context& context, const CountPositiveTask& task) {
  const auto& [dense, counts] = task;
  parallel_for(cpu(context).threads, dense.rows, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      counts[row] =
          std::count_if(dense.row(row), dense.row(row) + dense.columns, [](float value) { return value > 0; });
    }
  });
}

void take_positive_cpu(Context& context, const TakePositiveTask& task) {
  const auto& [dense, offsets, columns, values] = task;
  parallel_for(cpu(context).threads, dense.rows, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const float* const from = dense.row(row);
      int64_t to = offsets[row];
      for (int64_t column = 0; column < dense.columns; column++) {
        if (!(from[column] > 0)) continue;
        columns[to] = static_cast<int32_t>(column);
        values[to++] = from[column];
      }
    }
  });
}

}  // namespace sartor::cuda
