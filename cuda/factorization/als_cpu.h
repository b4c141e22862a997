// als_update on the CPU. Called by als_update() after its checks.
#pragma once

#include "factorization/als.h"

namespace sartor::cuda {

void als_update_cpu(Context& context, const AlsTask& task);

}  // namespace sartor::cuda
