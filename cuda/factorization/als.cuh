// GPU version of als_update, called after its checks.
#pragma once

#include "factorization/als.h"

namespace sartor::cuda {

void als_update_gpu(Context& context, const AlsTask& task);

}  // namespace sartor::cuda
