// Adds a product of dense matrices.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of add_product. All arrays are in the context's memory.
struct AddProductTask {
  Rows<const float> left;   // (n, d)
  Rows<const float> right;  // (m, d)
  Rows<float> sum;          // (n, m)
};

// sum += left right^T. A row of the result depends neither on the other rows nor on the number of threads. Runs on CPUs
// only for now. Throws std::invalid_argument if the context is on a GPU or sizes differ.
void add_product(Context& context, const AddProductTask& task);

}  // namespace sartor::cuda
