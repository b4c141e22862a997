#include "models/clustering/clustering.h"

#include <algorithm>
#include <cmath>

#include "models/clustering/scaling.h"

namespace sartor {
namespace {

// Elements are those of float or double arrays.
template <class Left, class Right> double squared_distance(const Left* x, const Right* y, int64_t size) {
  double sum = 0;
  for (int64_t c = 0; c < size; c++) {
    const double difference = static_cast<double>(x[c]) - static_cast<double>(y[c]);
    sum += difference * difference;
  }
  return sum;
}

// The ratio of the dispersions between and within clusters, each by its degrees of freedom.
double calinski_harabasz(cuda::Rows<const float> rows, const Clustering& clustering, const ClusteringSummary& summary,
                         int64_t clusters) {
  const auto mean = column_means(rows);
  double between = 0;
  for (int64_t k = 0; k < clustering.clusters; k++) {
    const float* centroid = clustering.centroids.data() + k * rows.columns;
    between += static_cast<double>(summary.sizes[k]) * squared_distance(centroid, mean.data(), rows.columns);
  }
  if (summary.inertia == 0) return 1;
  return between / summary.inertia * static_cast<double>(rows.rows - clusters) / static_cast<double>(clusters - 1);
}

// The mean over clusters of the largest ratio of mean distances within two clusters to that of their centroids.
double davies_bouldin(const Clustering& clustering, const ClusteringSummary& summary, int64_t clusters) {
  const auto& [distances, sizes, within, nearest, inertia] = summary;
  const int64_t d = clustering.columns;
  double sum = 0;
  for (int64_t k = 0; k < clustering.clusters; k++) {
    double largest = 0;
    for (int64_t other = 0; other < clustering.clusters; other++) {
      if (other == k || sizes[k] == 0 || sizes[other] == 0) continue;
      const float *x = clustering.centroids.data() + k * d, *y = clustering.centroids.data() + other * d;
      const double apart = std::sqrt(squared_distance(x, y, d));
      if (apart > 0) largest = std::max(largest, (within[k] + within[other]) / apart);
    }
    sum += largest;
  }
  return sum / static_cast<double>(clusters);
}

}  // namespace

ClusteringSummary summarize(cuda::Rows<const float> rows, const Clustering& clustering) {
  const int64_t clusters = clustering.clusters;
  ClusteringSummary summary = {.distances = std::vector<double>(rows.rows),
                               .sizes = std::vector<int64_t>(clusters),
                               .mean_distances = std::vector<double>(clusters),
                               .nearest = std::vector<int64_t>(clusters, -1)};
  for (int64_t r = 0; r < rows.rows; r++) {
    const int32_t k = clustering.labels[r];
    const double squares = squared_distance(rows.row(r), clustering.centroids.data() + k * rows.columns, rows.columns);
    summary.distances[r] = std::sqrt(squares);
    summary.inertia += squares;
    summary.sizes[k]++;
    summary.mean_distances[k] += summary.distances[r];
    int64_t& nearest = summary.nearest[k];
    if (nearest < 0 || summary.distances[r] < summary.distances[nearest]) nearest = r;
  }
  for (int64_t k = 0; k < clusters; k++) {
    summary.mean_distances[k] /= static_cast<double>(std::max<int64_t>(summary.sizes[k], 1));
  }
  return summary;
}

std::vector<Metric> judge(cuda::Rows<const float> rows, const Clustering& clustering,
                          const ClusteringSummary& summary) {
  std::vector<int64_t> sizes = summary.sizes;
  std::erase(sizes, 0);
  const auto [smallest, largest] = std::ranges::minmax(sizes);
  std::vector<Metric> metrics = {{"inertia", summary.inertia},
                                 {"clusters", static_cast<double>(sizes.size())},
                                 {"smallest", static_cast<double>(smallest)},
                                 {"largest", static_cast<double>(largest)}};
  const int64_t clusters = std::ssize(sizes);
  if (clusters < 2 || clusters >= rows.rows) return metrics;
  Clustering around_means = clustering;
  around_means.centroids = cluster_means(rows, clustering.labels, clustering.clusters);
  const ClusteringSummary summary_of_means = summarize(rows, around_means);
  metrics.push_back({"calinski_harabasz", calinski_harabasz(rows, around_means, summary_of_means, clusters)});
  metrics.push_back({"davies_bouldin", davies_bouldin(around_means, summary_of_means, clusters)});
  return metrics;
}

std::vector<float> cluster_means(cuda::Rows<const float> rows, const std::vector<int32_t>& labels, int64_t clusters) {
  std::vector<double> sums(clusters * rows.columns);
  std::vector<int64_t> sizes(clusters);
  for (int64_t r = 0; r < rows.rows; r++) {
    sizes[labels[r]]++;
    for (int64_t c = 0; c < rows.columns; c++) {
      sums[labels[r] * rows.columns + c] += static_cast<double>(rows.row(r)[c]);
    }
  }
  std::vector<float> means(sums.size());
  for (size_t i = 0; i < sums.size(); i++) {
    means[i] = static_cast<float>(sums[i] / static_cast<double>(std::max<int64_t>(sizes[i / rows.columns], 1)));
  }
  return means;
}

}  // namespace sartor
