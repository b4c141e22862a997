// Weighted sum of two vectors.
#pragma once

#include <cstdint>

#include "core/context.h"

namespace sartor::cuda {

// Arguments of scaled_sum. All arrays are in the context's memory.
struct ScaledSumTask {
  float* sum;          // (size), not read if a is 0
  const float* other;  // (size)
  int64_t size = 0;
  float a = 1, b = 1;
};

// sum = a sum + b other. Both products are rounded before they are added, so that all devices give the same bits.
void scaled_sum(Context& context, const ScaledSumTask& task);

}  // namespace sartor::cuda
