// topk on a GPU. Called by topk() after its checks.
#pragma once

#include "similarity/topk.h"

namespace sartor::cuda {

void topk_gpu(Context& context, Rows<const float> queries, Rows<const float> items, const float* item_bias,
              IdLists excluded, const TopkParams& params, TopK found);

}  // namespace sartor::cuda
