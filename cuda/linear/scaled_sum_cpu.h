// CPU version of scaled_sum, called after its checks.
#pragma once

#include "linear/scaled_sum.h"

namespace sartor::cuda {

void scaled_sum_cpu(Context& context, const ScaledSumTask& task);

}  // namespace sartor::cuda
