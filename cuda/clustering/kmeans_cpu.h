// CPU versions of the operations of k-means, called after their checks.
#pragma once

#include "clustering/kmeans.h"

namespace sartor::cuda {

void nearest_centroids_cpu(Context& context, const NearestTask& task);
void cluster_sums_cpu(Context& context, const ClusterSumsTask& task);
void negative_half_squares_cpu(Context& context, const HalfSquaresTask& task);
void candidate_distances_cpu(Context& context, const CandidateDistancesTask& task);

}  // namespace sartor::cuda
