// Sorting of topk's results of any size.
#pragma once

#include "core/gpu/backend.cuh"
#include "core/views.h"
#include "similarity/topk_key.h"

namespace sartor::cuda {

// Writes each row of keys (found.rows, found.k), in descending order, to `found`; 0 for empty slots. Overwrites `keys`
// and `other`, of the same size.
void sort_keys(GpuBackend& backend, TopkKey* keys, TopkKey* other, TopK found);

}  // namespace sartor::cuda
