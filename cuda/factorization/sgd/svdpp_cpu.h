// CPU version of svdpp_epoch, called after its checks.
#pragma once

#include "factorization/sgd/svdpp.h"

namespace sartor::cuda {

void svdpp_epoch_cpu(Context& context, const SvdppTask& task);

}  // namespace sartor::cuda
