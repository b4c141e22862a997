// Dense product of two sparse matrices.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of multiply_sparse. All arrays are in the context's memory.
struct MultiplySparseTask {
  Csr<const float> left, right;  // (R, M), (M, C)
  Rows<float> product;           // (R, C), overwritten
};

// product = left right. Sums are in fp32, over the entries of a row of `left` in order; a row of the result depends
// neither on the other rows nor on the number of threads, and has the same bits on every device. Throws
// std::invalid_argument if the numbers of rows differ.
void multiply_sparse(Context& context, const MultiplySparseTask& task);

}  // namespace sartor::cuda
