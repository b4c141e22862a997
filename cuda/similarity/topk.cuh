// topk on a GPU. Called by topk() after its checks.
#pragma once

#include "similarity/topk.h"

namespace sartor::cuda {

void topk_gpu(Context& context, const TopkTask& task);

}  // namespace sartor::cuda
