// CPU versions of count_positive and take_positive, called after their checks.
#pragma once

#include "sparse/filters/positive_entries.h"

namespace sartor::cuda {

void count_positive_cpu(Context& context, const CountPositiveTask& task);
void take_positive_cpu(Context& context, const TakePositiveTask& task);

}  // namespace sartor::cuda
