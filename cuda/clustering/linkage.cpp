#include "clustering/linkage.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/require.h"
#include "clustering/linkage_cpu.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void linkage(Context& context, const LinkageTask& task) {
  require(!context.is_gpu(), "linkage: runs on CPUs only");
  require(task.rows.rows < int64_t{1} << 31, "linkage: {} rows, expected less than 2^31", task.rows.rows);
  if (task.rows.rows < 2) return;
  const ProfilerRange range("linkage");
  context.operations().linkage(context, task);
}

void name_merges(std::vector<RowMerge> found, Merge* merges) {
  std::ranges::stable_sort(found, {}, &RowMerge::distance);
  const int64_t rows = std::ssize(found) + 1;
  std::vector<int64_t> parent(2 * rows - 1), sizes(2 * rows - 1, 1);
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](int64_t node) {
    while (parent[node] != node) node = parent[node] = parent[parent[node]];
    return node;
  };
  for (int64_t i = 0; i < std::ssize(found); i++) {
    int64_t first = root(found[i].first), second = root(found[i].second);
    if (first > second) std::swap(first, second);
    sizes[rows + i] = sizes[first] + sizes[second];
    parent[first] = parent[second] = rows + i;
    merges[i] = {static_cast<double>(first), static_cast<double>(second), found[i].distance,
                 static_cast<double>(sizes[rows + i])};
  }
}

}  // namespace sartor::cuda
