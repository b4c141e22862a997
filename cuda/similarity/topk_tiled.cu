#include "similarity/topk_tiled.h"

#include <algorithm>
#include <utility>

#include "similarity/selection/radix_select.cuh"
#include "similarity/selection/sort_keys.cuh"
#include "similarity/topk_search.cuh"

namespace sartor::cuda {
namespace {

const void* row(const TopkOperand& operand, int64_t index) {
  return static_cast<const std::byte*>(operand.rows) + index * operand.stride * bytes_of(operand.element);
}

cudaDataType_t data_type(TopkElement element) {
  return element == TopkElement::fp32 ? CUDA_R_32F : element == TopkElement::fp16 ? CUDA_R_16F : CUDA_R_16BF;
}

// Products of the queries and items of the tile, with sums in fp32.
void multiply(GpuBackend& backend, const TopkSearch& search, const ScoreTile& tile) {
  const auto& [queries, items] = std::tie(search.queries, search.items);
  if (items.columns == 0) {
    check(cudaMemsetAsync(tile.scores, 0, tile.rows * tile.stride * sizeof(float), backend.stream()), "topk: products");
    return;
  }
  const float one = 1, zero = 0;
  const bool tf32 = items.element == TopkElement::fp32 && !search.three_products;
  check(cublasGemmEx(backend.cublas(), CUBLAS_OP_T, CUBLAS_OP_N, static_cast<int>(tile.columns),
                     static_cast<int>(tile.rows), static_cast<int>(items.columns), &one, row(items, tile.first_item),
                     data_type(items.element), static_cast<int>(items.stride), row(queries, tile.first_query),
                     data_type(queries.element), static_cast<int>(queries.stride), &zero, tile.scores, CUDA_R_32F,
                     static_cast<int>(tile.stride), tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                     CUBLAS_GEMM_DEFAULT),
        "topk: products");
}

}  // namespace

void topk_tiled(GpuBackend& backend, const TopkSearch& search, const TiledPlan& plan, void* workspace) {
  const int64_t stride = score_stride(plan.items), k = search.k;
  auto* scores = static_cast<float*>(workspace);
  float* state = scores + plan.queries * stride;
  auto* best = reinterpret_cast<TopkKey*>(state) + plan.select.state_bytes / sizeof(TopkKey);
  TopkKey* other = best + plan.queries * k;
  for (int64_t query = 0; query < search.queries.count; query += plan.queries) {
    const int64_t rows = std::min(plan.queries, search.queries.count - query);
    for (int64_t item = 0; item < search.items.count; item += plan.items) {
      const int64_t columns = std::min(plan.items, search.items.count - item);
      const ScoreTile tile{scores, score_stride(columns), rows, columns, query, item, true};
      multiply(backend, search, tile);
      select_best(backend, search, tile, plan.select, state, item > 0 ? other : nullptr, best);
      std::swap(best, other);
    }
    sort_keys(backend, other, best, {rows, k, search.found.scores + query * k, search.found.ids + query * k});
  }
}

}  // namespace sartor::cuda
