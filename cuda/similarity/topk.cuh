// GPU version of topk, called after its checks.
#pragma once

#include "similarity/topk.h"

namespace sartor::cuda {

void topk_gpu(Context& context, const TopkTask& task);

}  // namespace sartor::cuda
