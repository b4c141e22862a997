#include "sparse/filters/top_scores_cpu.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "sparse/filters/filter_kernels.h"

namespace sartor::cuda {
namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();

void exclude(const TopScoresTask& task, int64_t row) {
  float* const scores = task.scores.row(row);
  if (task.excluded.rows > 0) {
    for (int64_t at = task.excluded.offsets[row]; at < task.excluded.offsets[row + 1]; at++) {
      scores[task.excluded.ids[at]] = lowest;
    }
  }
  if (!task.allowed) return;
  for (int64_t item = 0; item < task.scores.columns; item++) {
    if (!(task.allowed[item / 32] >> item % 32 & 1)) scores[item] = lowest;
  }
}

// Keeps the best k keys and returns the score that further items must exceed.
float keep_best(std::vector<TopkKey>& keys, int64_t k, int64_t& count) {
  if (count < k) return lowest;
  std::nth_element(keys.begin(), keys.begin() + k - 1, keys.begin() + count, std::greater<>());
  count = k;
  return topk_score(keys[k - 1]);
}

void find(const TopScoresTask& task, const FilterKernels& kernels, int64_t row, std::vector<TopkKey>& keys) {
  const int64_t k = task.found.k, size = task.scores.columns;
  int64_t count = 0, next = 0;
  for (float threshold = lowest; next < size;) {
    next = kernels.collect(task.scores.row(row), next, size, threshold, std::ssize(keys), keys.data(), count);
    threshold = keep_best(keys, k, count);
  }
  std::sort(keys.begin(), keys.begin() + count, std::greater<>());
  for (int64_t rank = 0; rank < k; rank++) {
    const bool is_found = rank < count;
    task.found.scores[row * k + rank] = is_found ? topk_score(keys[rank]) : lowest;
    task.found.ids[row * k + rank] = is_found ? topk_id(keys[rank]) : -1;
  }
}

}  // namespace

void top_scores_cpu(Context& context, const TopScoresTask& task) {
  const FilterKernels& kernels = filter_kernels(cpu(context).isa);
  parallel_for(cpu(context).threads, task.scores.rows, 16, [&](int64_t begin, int64_t end, int) {
    std::vector<TopkKey> keys(2 * task.found.k + 8 * kernels.lanes);
    for (int64_t row = begin; row < end; row++) {
      exclude(task, row);
      find(task, kernels, row, keys);
    }
  });
}

}  // namespace sartor::cuda
