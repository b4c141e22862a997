// Inner loops of k-means on the CPU, compiled once per instruction set.
#pragma once

#include <cstdint>

namespace sartor::cuda {

// Centroids in panels (d + 1, centroid_panel), aligned to 64 bytes: the columns of as many centroids, then -|c|^2 / 2
// of each, -inf beyond the last one.
constexpr int64_t centroid_panel = 32;

struct CentroidPanels {
  const float* data;
  int64_t first;      // number of the first panel to search
  int64_t centroids;  // to search
};

struct KMeansKernels {
  // Writes panel number `panel` of the centroids (count, d).
  void (*pack)(const float* centroids, int64_t count, int64_t d, int64_t panel, float* to);

  // The best centroid of each row (rows, d) among the panels. If these are not the first ones, compares with the score
  // and the centroid that the row has.
  void (*nearest)(const float* rows, int64_t count, int64_t d, const CentroidPanels& panels, float* scores,
                  int32_t* nearest);

  // Adds `columns` columns of rows (count, d) to the sums (K, d) of their clusters, in order.
  void (*add_rows)(const float* rows, const int32_t* clusters, int64_t count, int64_t d, int64_t columns, double* sums);

  // distances (count, 16) from rows to the columns of a matrix (d, 16).
  void (*distances)(const float* rows, int64_t count, int64_t d, const float* candidates, float* distances);
};

namespace v3 {
extern const KMeansKernels kmeans_kernels;
}
namespace v4 {
extern const KMeansKernels kmeans_kernels;
}

}  // namespace sartor::cuda
