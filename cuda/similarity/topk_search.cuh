// A top-k search on a GPU after its operands have been prepared, and the ways to do it.
#pragma once

#include "core/gpu/backend.cuh"
#include "core/views.h"
#include "similarity/topk_key.h"
#include "similarity/topk_shape.h"

namespace sartor::cuda {

// Rows to multiply, in device memory.
struct TopkOperand {
  const void* rows = nullptr;  // (count, columns) elements; 16-bit rows are aligned to 16 bytes
  int64_t count = 0, columns = 0;
  int64_t stride = 0;  // elements from row to row; a multiple of 8 with 16 bits
  TopkElement element = TopkElement::fp32;
  const float* scale = nullptr;  // (count) factors of the scores, or null for 1
};

// score(q, j) = <query_q, item_j> query_scale_q item_scale_j + item_bias_j. Finds for each query the k items with the
// highest scores of those that it may find, as topk() describes.
struct TopkSearch {
  TopkOperand queries, items;
  const float* item_bias = nullptr;   // (items) or null
  IdLists excluded;                   // ascending ids per query; rows = 0 for none
  const uint32_t* allowed = nullptr;  // bit j % 32 of word j / 32: item j may be found; null for all
  const uint32_t* denied = nullptr;   // likewise, of items that must not be found; null for none
  int64_t k = 0;
  TopK found;
  bool three_products = true;  // fp32 elements: products of fp32 accuracy (3xTF32) rather than of TF32
};

// The score of a sum of products; the same on each road.
__device__ inline float final_score(float sum, float query_scale, float item_scale, float bias) {
  return fmaf(sum * query_scale, item_scale, bias);
}

// The search of `count` queries from `first` on.
inline TopkSearch queries_of(TopkSearch search, int64_t first, int64_t count) {
  auto& [rows, query_count, columns, stride, element, scale] = search.queries;
  rows = static_cast<const char*>(rows) + first * stride * bytes_of(element);
  query_count = count;
  if (scale) scale += first;
  if (search.excluded.rows > 0) search.excluded = {count, search.excluded.offsets + first, search.excluded.ids};
  search.found = {count, search.k, search.found.scores + first * search.k, search.found.ids + first * search.k};
  return search;
}

struct FusedPlan;
struct ScanPlan;
struct TiledPlan;

// Each enqueues the search on the backend's stream. workspace: device memory of the plan's workspace_bytes.
void topk_fused(GpuBackend& backend, const TopkSearch& search, const FusedPlan& plan, void* workspace);
void topk_scan(GpuBackend& backend, const TopkSearch& search, const ScanPlan& plan, void* workspace);
void topk_tiled(GpuBackend& backend, const TopkSearch& search, const TiledPlan& plan, void* workspace);

}  // namespace sartor::cuda
