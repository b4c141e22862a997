// topk on the CPU. Called by topk() after its checks.
#pragma once

#include "similarity/topk.h"

namespace sartor::cuda {

void topk_cpu(Context& context, Rows<const float> queries, Rows<const float> items, const float* item_bias,
              IdLists excluded, const TopkParams& params, TopK found);

}  // namespace sartor::cuda
