// Selects as topk does with tiles of scores. Rows that are not aligned to 16 bytes are copied first.
#include "sparse/filters/top_scores.cuh"

#include "similarity/selection/radix_select.cuh"
#include "similarity/selection/sort_keys.cuh"

namespace sartor::cuda {

void top_scores_gpu(Context& context, const TopScoresTask& task) {
  const auto& [scores, excluded, allowed, found] = task;
  GpuBackend& backend = gpu(context);
  const int64_t stride = score_stride(scores.columns), k = found.k;
  const bool aligned = stride == scores.columns && reinterpret_cast<uintptr_t>(scores.data) % 16 == 0;
  const int64_t copied = aligned ? 0 : scores.rows * stride * static_cast<int64_t>(sizeof(float));
  const SelectPlan plan = select_plan(scores.rows, scores.columns, k, backend.limits());
  auto* const memory = static_cast<char*>(context.scratch(copied + plan.workspace_bytes));
  ScoreTile tile = {.scores = scores.data, .stride = stride, .rows = scores.rows, .columns = scores.columns};
  tile.products = true;  // exclusions still have to be applied
  if (!aligned) {
    tile.scores = reinterpret_cast<float*>(memory);
    const size_t width = scores.columns * sizeof(float);
    check(cudaMemcpy2DAsync(tile.scores, stride * sizeof(float), scores.data, width, width, scores.rows,
                            cudaMemcpyDeviceToDevice, backend.stream()),
          "top_scores: copy");
  }
  TopkSearch search;
  search.excluded = excluded;
  search.allowed = allowed;
  search.k = k;
  char* const state = memory + copied;
  auto* const best = reinterpret_cast<TopkKey*>(state + plan.state_bytes);
  select_best(backend, search, tile, plan, state, nullptr, best);
  sort_keys(backend, best, best + scores.rows * k, found);
}

}  // namespace sartor::cuda
