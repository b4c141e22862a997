// GPU version of sgd_rounds, called after its checks.
#pragma once

#include "factorization/sgd/sgd.h"

namespace sartor::cuda {

void sgd_rounds_gpu(Context& context, const SgdTask& task);

}  // namespace sartor::cuda
