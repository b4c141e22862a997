// Adds a product of dense matrices.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of add_product. All arrays are in the context's memory.
struct AddProductTask {
  Rows<const float> left;   // (n, d), or (d, n) if it is transposed
  Rows<const float> right;  // (m, d), or (d, m) if it is transposed
  Rows<float> sum;          // (n, m)
  bool left_transposed = false, right_transposed = false;
};

// sum += left right^T, with matrices as above before they were transposed. A row of the result depends neither on the
// other rows nor on the number of threads. Products are as exact as those of fp32; on a GPU each operand is split into
// two TF32 numbers. Throws std::invalid_argument if sizes differ.
void add_product(Context& context, const AddProductTask& task);

}  // namespace sartor::cuda
