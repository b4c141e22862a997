#pragma once

#include "factorization/nonnegative/nonnegative.h"

namespace sartor::cuda {

void nonnegative_update_cpu(Context& context, const NonnegativeTask& task);

}  // namespace sartor::cuda
