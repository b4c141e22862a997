// GPU version of graph_filter, called after its checks.
#pragma once

#include "sparse/filters/graph_filter.h"

namespace sartor::cuda {

void graph_filter_gpu(Context& context, const GraphFilterTask& task);

}  // namespace sartor::cuda
