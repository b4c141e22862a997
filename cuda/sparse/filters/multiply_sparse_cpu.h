// CPU version of multiply_sparse, called after its checks.
#pragma once

#include "sparse/filters/multiply_sparse.h"

namespace sartor::cuda {

void multiply_sparse_cpu(Context& context, const MultiplySparseTask& task);

}  // namespace sartor::cuda
