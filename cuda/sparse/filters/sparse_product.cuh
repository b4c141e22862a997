// GPU version of sparse_product, called after its checks, and what it shares with graph_filter.
#pragma once

#include "core/gpu/backend.cuh"
#include "sparse/filters/filter_kernels.h"
#include "sparse/filters/sparse_product.h"

namespace sartor::cuda {

void sparse_product_gpu(Context& context, const SparseProductTask& task);

// Enqueues rows.to = rows.a matrix right + rows.b plus + rows.c to for all rows. A column of the result does not depend
// on the others if their number is the same. operation: named in errors.
void multiply_rows_gpu(GpuBackend& backend, const SparseRows& rows, const char* operation);

}  // namespace sartor::cuda
