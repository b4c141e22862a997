// GPU version of bpr_epoch, called after its checks.
#pragma once

#include "factorization/ranking/bpr.h"

namespace sartor::cuda {

void bpr_epoch_gpu(Context& context, const BprTask& task);

}  // namespace sartor::cuda
