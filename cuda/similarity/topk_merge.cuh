// Last steps of a top-k search on a GPU: from candidates to sorted results.
#pragma once

#include "core/gpu/backend.cuh"
#include "core/views.h"
#include "similarity/topk_key.h"

namespace sartor::cuda {

// Largest k of topk_merge.
constexpr int64_t merge_max_k = 2048;

// Writes the k best of each query's candidates to `found`, sorted; empty places get id -1 and score -inf.
// keys (queries, parts, k): 0 for empty slots, the others of a query differ; in any order. k: 1 to merge_max_k.
void topk_merge(GpuBackend& backend, const TopkKey* keys, int64_t queries, int64_t parts, int64_t k, TopK found);

}  // namespace sartor::cuda
