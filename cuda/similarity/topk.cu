#include <algorithm>

#include "core/gpu/backend.cuh"
#include "similarity/topk.cuh"
#include "similarity/topk_plan.h"
#include "similarity/topk_search.cuh"

namespace sartor::cuda {
namespace {

TopkElement element_of(TopkPrecision precision) {
  switch (precision) {
    case TopkPrecision::fp16:
      return TopkElement::fp16;
    case TopkPrecision::bf16:
      return TopkElement::bf16;
    case TopkPrecision::fp32:
    case TopkPrecision::tf32:
      break;
  }
  return TopkElement::fp32;
}

void search_by(GpuBackend& backend, const TopkSearch& search, const ScanPlan& plan, void* workspace) {
  topk_scan(backend, search, plan, workspace);
}
void search_by(GpuBackend& backend, const TopkSearch& search, const FusedPlan& plan, void* workspace) {
  topk_fused(backend, search, plan, workspace);
}
void search_by(GpuBackend& backend, const TopkSearch& search, const TiledPlan& plan, void* workspace) {
  topk_tiled(backend, search, plan, workspace);
}

int64_t scratch_bound(const TopkParams& params, const GpuLimits& limits) {
  if (params.workspace_bytes > 0) return params.workspace_bytes;
  return std::min(static_cast<int64_t>(limits.memory_bytes / 16), int64_t{1} << 30);
}

// Scratch memory: prepared rows of a batch of queries, their scales, then the workspace of its search.
struct Batches {
  int64_t queries;  // of a batch: their rows take at most a quarter of the bound, if that is enough for a few
  int64_t row_bytes, scale_bytes;

  Batches(const TopkRowsLayout& layout, int64_t count, int64_t bound) {
    constexpr int64_t few = 128;
    const int64_t bytes = std::max<int64_t>(layout.bytes(1) + (layout.scaled ? sizeof(float) : 0), 1);
    queries = std::min(count, std::max(bound / 4 / bytes, few));
    row_bytes = align(layout.bytes(queries));
    scale_bytes = layout.scaled ? align(queries * sizeof(float)) : 0;
  }

 private:
  static int64_t align(int64_t bytes) { return (bytes + 255) / 256 * 256; }
};

}  // namespace

void topk_gpu(Context& context, const TopkTask& task) {
  const auto& [queries, items, prepared, item_bias, excluded, allowed, denied, params, found] = task;
  GpuBackend& backend = gpu(context);
  const GpuLimits& limits = backend.limits();
  const int64_t columns = prepared->columns(), bound = scratch_bound(params, limits);
  const TopkRowsLayout layout = topk_rows_layout(/*gpu=*/true, params.similarity, params.precision, columns);
  const TopkElement element = element_of(params.precision);
  const bool three_products = params.precision == TopkPrecision::fp32;
  const Batches batches(layout, queries.rows, bound);

  const TopkSearch whole = {
      .queries = {queries.data, queries.rows, columns, columns, element},
      .items = {prepared->rows(), prepared->count(), columns, prepared->stride(), element, prepared->scale()},
      .item_bias = item_bias,
      .excluded = excluded,
      .allowed = allowed,
      .denied = denied,
      .k = params.k,
      .found = found,
      .three_products = three_products};
  for (int64_t first = 0; first < queries.rows; first += batches.queries) {
    const int64_t count = std::min(batches.queries, queries.rows - first);
    const SearchShape shape{count, prepared->count(), columns, params.k, element, three_products};
    const TopkPlan plan =
        choose_plan(shape, limits, std::max<int64_t>(bound - batches.row_bytes - batches.scale_bytes, 0));
    const int64_t workspace_bytes = std::visit([](const auto& chosen) { return chosen.workspace_bytes; }, plan);
    auto* rows = static_cast<std::byte*>(context.scratch(batches.row_bytes + batches.scale_bytes + workspace_bytes));
    std::byte* scale = rows + batches.row_bytes;

    TopkSearch search = queries_of(whole, first, count);
    const TopkRowsTask preparation = {.rows = {queries.row(first), count, columns},
                                      .similarity = params.similarity,
                                      .precision = params.precision,
                                      .copy = batches.row_bytes > 0 ? rows : nullptr,
                                      .scale = layout.scaled ? reinterpret_cast<float*>(scale) : nullptr};
    if (preparation.copy || preparation.scale) prepare_topk_rows_gpu(context, preparation);
    if (preparation.copy) {
      search.queries.rows = rows;
      search.queries.stride = layout.stride;
    }
    search.queries.scale = preparation.scale;
    std::visit([&](const auto& chosen) { search_by(backend, search, chosen, scale + batches.scale_bytes); }, plan);
  }
}

}  // namespace sartor::cuda
