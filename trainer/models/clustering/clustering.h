// Interface of clustering algorithms, and their results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "clustering/linkage.h"
#include "core/views.h"
#include "metrics/metric.h"

namespace sartor {

// Clusters of N rows. Centroids of clusters without rows are those of the last step at which they had some.
struct Clustering {
  int64_t clusters = 0, columns = 0;
  std::vector<float> centroids;     // (clusters, columns)
  std::vector<int32_t> labels;      // (N) 0 to clusters - 1
  std::vector<cuda::Merge> merges;  // of agglomerative clustering
};

// A clustering in steps, each of which can be saved.
class Clusterer {
 public:
  virtual ~Clusterer() = default;

  virtual int64_t steps() const = 0;  // at most
  virtual bool finished() const = 0;
  virtual std::vector<Metric> step() = 0;  // returns metrics of the step for the log
  virtual Clustering result() const = 0;   // once finished

  // The state between two steps, bit for bit.
  virtual void save(const std::filesystem::path& folder) const = 0;
  virtual void load(const std::filesystem::path& folder) = 0;
};

// What the rows' distances to their centroids say about a clustering.
struct ClusteringSummary {
  std::vector<double> distances;       // (N) of each row to its centroid
  std::vector<int64_t> sizes;          // (clusters)
  std::vector<double> mean_distances;  // (clusters)
  std::vector<int64_t> nearest;        // (clusters) row nearest to the centroid; -1 without rows
  double inertia = 0;                  // sum of squared distances
};
ClusteringSummary summarize(cuda::Rows<const float> rows, const Clustering& clustering);

// inertia, number of clusters with rows, smallest and largest of them, calinski_harabasz (Calinski and Harabasz 1974;
// higher is better) and davies_bouldin (Davies and Bouldin 1979; lower is better) as in scikit-learn, by the means of
// the rows. The last two need at least 2 clusters with rows, and fewer than rows.
std::vector<Metric> judge(cuda::Rows<const float> rows, const Clustering& clustering, const ClusteringSummary& summary);

// Means of the rows of each cluster, in fp64.
std::vector<float> cluster_means(cuda::Rows<const float> rows, const std::vector<int32_t>& labels, int64_t clusters);

}  // namespace sartor
