// GPU versions of count_positive and take_positive, called after their checks.
#pragma once

#include "sparse/filters/positive_entries.h"

namespace sartor::cuda {

void count_positive_gpu(Context& context, const CountPositiveTask& task);
void take_positive_gpu(Context& context, const TakePositiveTask& task);

}  // namespace sartor::cuda
