// k-means: the two halves of an iteration of Lloyd's algorithm, and the distances that its seeding needs.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of nearest_centroids. All arrays are in the context's memory.
struct NearestTask {
  Rows<const float> rows;       // (N, d) x
  Rows<const float> centroids;  // (K, d) c
  int32_t* nearest;             // (N), overwritten
  float* scores;                // (N), overwritten
};

// Finds the nearest centroid of each row by the Euclidean distance:
//
//   score(x) = max over k of <x, c_k> - |c_k|^2 / 2,   min over k of |x - c_k|^2 = |x|^2 - 2 score(x)
//
// Of equal scores the lowest k counts. Sums are in fp32; centre the rows first, so that their products do not cancel.
// On the CPU a row's result depends neither on the other rows nor on the number of threads. Scratch memory there: the
// centroids, padded to a multiple of 32. On a GPU this is topk() with k = 1 and a bias per centroid. Throws
// std::invalid_argument if the numbers of columns differ, or K < 1.
void nearest_centroids(Context& context, const NearestTask& task);

// Arguments of negative_half_squares. All arrays are in the context's memory.
struct HalfSquaresTask {
  Rows<const float> rows;  // (N, d)
  float* values;           // (N), overwritten: -|row|^2 / 2
};
void negative_half_squares(Context& context, const HalfSquaresTask& task);

// Arguments of cluster_sums. All arrays are in the context's memory.
struct ClusterSumsTask {
  Rows<const float> rows;   // (N, d)
  const int32_t* clusters;  // (N), 0 to K - 1
  int64_t count;            // K
  double* sums;             // (K, d), overwritten: sum of the rows of each cluster
  int64_t* sizes;           // (K), overwritten: their number
};

// Sums are in fp64, of fixed parts of the rows, and do not depend on the number of threads. Scratch memory on the CPU:
// up to 8 times that of the sums, at most 64 MiB beyond one. On a GPU, the labels are copied to the host, which orders
// the rows; scratch memory there: d fp64 numbers for each cluster and 128 rows, and a number per row.
void cluster_sums(Context& context, const ClusterSumsTask& task);

// Arguments of candidate_distances. All arrays are in host memory.
struct CandidateDistancesTask {
  Rows<const float> rows;        // (N, d)
  Rows<const float> candidates;  // (T, d), T <= most_candidates
  float* distances;              // (N, most_candidates), overwritten: |x - c|^2 in fp32, exactly 0 for equal rows
};
constexpr int64_t most_candidates = 16;

// Runs on CPUs only: the seeding of k-means is sequential.
void candidate_distances(Context& context, const CandidateDistancesTask& task);

}  // namespace sartor::cuda
