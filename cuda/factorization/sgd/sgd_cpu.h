// CPU version of sgd_rounds, called after its checks.
#pragma once

#include "factorization/sgd/sgd.h"

namespace sartor::cuda {

void sgd_rounds_cpu(Context& context, const SgdTask& task);

}  // namespace sartor::cuda
