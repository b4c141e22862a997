// GPU version of multiply_sparse, called after its checks.
#pragma once

#include "sparse/filters/multiply_sparse.h"

namespace sartor::cuda {

void multiply_sparse_gpu(Context& context, const MultiplySparseTask& task);

}  // namespace sartor::cuda
