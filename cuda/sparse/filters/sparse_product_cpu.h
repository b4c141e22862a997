// CPU version of sparse_product, called after its checks.
#pragma once

#include "sparse/filters/sparse_product.h"

namespace sartor::cuda {

void sparse_product_cpu(Context& context, const SparseProductTask& task);

}  // namespace sartor::cuda
