// GPU versions of the operations of k-means, called after their checks.
#pragma once

#include "clustering/kmeans.h"

namespace sartor::cuda {

void cluster_sums_gpu(Context& context, const ClusterSumsTask& task);
void negative_half_squares_gpu(Context& context, const HalfSquaresTask& task);

}  // namespace sartor::cuda
