// Product of a sparse and a dense matrix.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of sparse_product. All arrays are in the context's memory.
struct SparseProductTask {
  Csr<const float> matrix;  // (R, C)
  Rows<const float> right;  // (C, d)
  Rows<float> product;      // (R, d), overwritten; must not overlap `right`
};

// product = matrix right. Sums are in fp32; a row of the result depends neither on the other rows nor on the number of
// threads. Throws std::invalid_argument if the numbers of rows or columns differ.
void sparse_product(Context& context, const SparseProductTask& task);

}  // namespace sartor::cuda
