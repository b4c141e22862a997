#include "sparse/row_similarity_cpu.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "core/cpu_backend.h"
#include "core/device_buffer.h"
#include "core/parallel_for.h"
#include "sparse/row_similarity_kernels.h"

namespace sartor::cuda {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr int64_t queries_per_task = 8;
// A row's sum is read about this much faster by a scan than by a visit of an entry.
constexpr int64_t scan_advantage = 64;

// Memory of a thread. The sums are 0 between queries.
class Search {
 public:
  Search(Context& context, const RowSimilarityTask& task, const RowSimilarityKernels& kernels)
      : task_(task),
        kernels_(kernels),
        k_(task.params.k),
        sums_(context, kernels.floats(sums_of(task.params), task.rows)),
        keys_(k_ + std::max<int64_t>(k_, 64) + kernels.block) {
    sums_.fill_zero();
  }

  void find(int64_t query) {
    kernels_.accumulate(task_, query, task_.first < 0 ? -1 : task_.first + query, sums_.data());
    const auto next = products(query) < task_.rows / scan_advantage ? kernels_.revisit : kernels_.scan;
    RowCandidates candidates = {keys_.data(), 0, std::ssize(keys_), least()};
    RowPosition at;
    while (!next(task_, query, sums_.data(), at, candidates)) keep_best(candidates);
    keep_best(candidates);
    write(query, candidates.count);
  }

 private:
  float least() const { return task_.params.keep_negative ? -infinity : 0; }

  int64_t products(int64_t query) const {
    int64_t sum = 0;
    for (int64_t at = task_.queries.offsets[query]; at < task_.queries.offsets[query + 1]; at++) {
      const int64_t column = task_.queries.columns[at];
      sum += task_.columns.offsets[column + 1] - task_.columns.offsets[column];
    }
    return sum;
  }

  void keep_best(RowCandidates& candidates) {
    if (candidates.count < k_) return;
    std::nth_element(keys_.begin(), keys_.begin() + k_ - 1, keys_.begin() + candidates.count, std::greater());
    candidates.count = k_;
    candidates.threshold = topk_score(keys_[k_ - 1]);
  }

  void write(int64_t query, int64_t count) {
    std::sort(keys_.begin(), keys_.begin() + count, std::greater());
    float* scores = task_.found.scores + query * k_;
    int32_t* ids = task_.found.ids + query * k_;
    for (int64_t rank = 0; rank < count; rank++) {
      scores[rank] = topk_score(keys_[rank]);
      ids[rank] = topk_id(keys_[rank]);
    }
    std::fill(scores + count, scores + k_, -infinity);
    std::fill(ids + count, ids + k_, -1);
  }

  const RowSimilarityTask& task_;
  const RowSimilarityKernels& kernels_;
  int64_t k_;
  DeviceBuffer<float> sums_;
  std::vector<TopkKey> keys_;
};

}  // namespace

void row_similarity_cpu(Context& context, const RowSimilarityTask& task) {
  const RowSimilarityKernels& kernels =
      best_of(cpu(context).isa, v3::row_similarity_kernels, v4::row_similarity_kernels);
  const int threads = cpu(context).threads;
  std::vector<std::unique_ptr<Search>> searches(threads);
  parallel_for(threads, task.queries.rows, queries_per_task, [&](int64_t begin, int64_t end, int thread) {
    auto& search = searches[thread];
    if (!search) search = std::make_unique<Search>(context, task, kernels);
    for (int64_t query = begin; query < end; query++) search->find(query);
  });
}

}  // namespace sartor::cuda
