// The elements above 0 of a dense matrix, as a sparse matrix.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of count_positive. All arrays are in the context's memory.
struct CountPositiveTask {
  Rows<const float> dense;  // (R, C)
  int64_t* counts;          // (R), overwritten
};

// counts = the number of elements above 0 of each row. NaN is not above 0.
void count_positive(Context& context, const CountPositiveTask& task);

// Arguments of take_positive. All arrays are in the context's memory.
struct TakePositiveTask {
  Rows<const float> dense;  // (R, C), C < 2^31
  const int64_t* offsets;   // (R + 1) sums of the counts, as in Csr
  int32_t* columns;         // (offsets[R]), overwritten
  float* values;            // (offsets[R]), overwritten
};

// Writes columns, which ascend within a row, and values of the elements above 0. Throws std::invalid_argument if there
// are 2^31 columns or more.
void take_positive(Context& context, const TakePositiveTask& task);

}  // namespace sartor::cuda
