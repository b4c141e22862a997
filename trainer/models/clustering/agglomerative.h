// Agglomerative clustering, cut at a number of clusters or a distance.
#pragma once

#include <array>
#include <optional>

#include "clustering/linkage.h"
#include "core/context.h"
#include "models/clustering/clustering.h"
#include "schema/fields.h"
#include "storage/hdf5_file.h"

namespace sartor::cuda {

constexpr auto choices(Linkage) {
  return std::to_array<Choice<Linkage>>({{"single", Linkage::single},
                                         {"complete", Linkage::complete},
                                         {"average", Linkage::average},
                                         {"ward", Linkage::ward}});
}

}  // namespace sartor::cuda

namespace sartor {

struct AgglomerativeConfig {
  cuda::Linkage linkage = cuda::Linkage::ward;
  std::optional<int64_t> n_clusters;
  std::optional<double> distance_threshold;
  int64_t max_rows = 20000;

  template <class Fields> void describe(Fields& field) {
    field("linkage", linkage,
          "Distance of two clusters: of their nearest rows (single), of their farthest rows (complete), the mean over "
          "their pairs of rows (average), or the increase of the sum of squared distances to the centroids (ward).");
    field("n_clusters", n_clusters, between(1, 1e6), "Number of clusters. Give this or distance_threshold.");
    field("distance_threshold", distance_threshold, at_least(0),
          "Distance from which on clusters are not merged; their number follows.");
    field("max_rows", max_rows, between(2, 200000),
          "Largest number of rows. All linkages but single need 8 bytes for each pair of rows: 3.2 GB for 20,000 rows, "
          "80 GB for 100,000.");
  }
  void check() const {
    require(n_clusters.has_value() != distance_threshold.has_value(),
            "expected either n_clusters or distance_threshold, found {}", n_clusters ? "both" : "neither");
  }
};

// All in one step.
class Agglomerative : public Clusterer {
 public:
  // rows (N, d) in host memory, which must outlive this object. Throws std::invalid_argument if there are more rows
  // than max_rows, or fewer than n_clusters.
  Agglomerative(const AgglomerativeConfig& config, cuda::Rows<const float> rows, cuda::Context& cpu);

  int64_t steps() const override { return 1; }
  bool finished() const override { return done_; }
  std::vector<Metric> step() override;
  Clustering result() const override;
  void save(const std::filesystem::path& folder) const override;
  void load(const std::filesystem::path& folder) override;

 private:
  AgglomerativeConfig config_;
  cuda::Rows<const float> rows_;
  cuda::Context& context_;
  std::vector<cuda::Merge> merges_;
  bool done_ = false;
};

// Labels of the rows after all merges but the last `clusters` - 1. Clusters are numbered in the order of their first
// rows.
std::vector<int32_t> cut(const std::vector<cuda::Merge>& merges, int64_t clusters);

// The linkage matrix of SciPy as the dataset /linkage (N - 1, 4).
void write_merges(datasets::Hdf5File& file, const std::vector<cuda::Merge>& merges);

}  // namespace sartor
