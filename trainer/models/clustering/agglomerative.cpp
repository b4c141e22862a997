#include "models/clustering/agglomerative.h"

#include <algorithm>
#include <numeric>

#include "base/require.h"

namespace sartor {

using datasets::Hdf5File;

Agglomerative::Agglomerative(const AgglomerativeConfig& config, cuda::Rows<const float> rows, cuda::Context& cpu)
    : config_(config), rows_(rows), context_(cpu), merges_(std::max<int64_t>(rows.rows - 1, 0)) {
  const auto bytes = static_cast<double>(cuda::linkage_bytes(config.linkage, rows.rows, rows.columns));
  require(
      rows.rows <= config.max_rows,
      "model.max_rows is {}, found {} rows, which need {:.2g} GB of memory; cluster them by kmeans, or raise the limit",
      config.max_rows, rows.rows, bytes / 1e9);
  require(config.n_clusters.value_or(1) <= rows.rows, "model.n_clusters is {}, expected at most {}, the number of rows",
          config.n_clusters.value_or(1), rows.rows);
}

std::vector<Metric> Agglomerative::step() {
  cuda::linkage(context_, {rows_, config_.linkage, merges_.data()});
  done_ = true;
  return {{"largest_distance", merges_.empty() ? 0 : merges_.back().distance}};
}

Clustering Agglomerative::result() const {
  const auto merged = config_.distance_threshold
                          ? std::ranges::count_if(
                                merges_, [&](double distance) { return distance < *config_.distance_threshold; },
                                &cuda::Merge::distance)
                          : rows_.rows - *config_.n_clusters;
  Clustering clustering = {.clusters = rows_.rows - merged, .columns = rows_.columns, .merges = merges_};
  clustering.labels = cut(merges_, clustering.clusters);
  clustering.centroids = cluster_means(rows_, clustering.labels, clustering.clusters);
  return clustering;
}

std::vector<int32_t> cut(const std::vector<cuda::Merge>& merges, int64_t clusters) {
  const int64_t rows = std::ssize(merges) + 1, kept = rows - clusters;
  std::vector<int64_t> parent(rows + kept, -1);
  for (int64_t i = 0; i < kept; i++) {
    parent[static_cast<int64_t>(merges[i].first)] = rows + i;
    parent[static_cast<int64_t>(merges[i].second)] = rows + i;
  }
  std::vector<int64_t> top(rows + kept);
  for (int64_t node = std::ssize(top) - 1; node >= 0; node--) top[node] = parent[node] < 0 ? node : top[parent[node]];
  std::vector<int32_t> number(top.size(), -1), labels(rows);
  int32_t next = 0;
  for (int64_t r = 0; r < rows; r++) {
    int32_t& label = number[top[r]];
    if (label < 0) label = next++;
    labels[r] = label;
  }
  return labels;
}

void write_merges(Hdf5File& file, const std::vector<cuda::Merge>& merges) {
  static_assert(sizeof(cuda::Merge) == 4 * sizeof(double));
  std::vector<double> values;
  for (const auto& [first, second, distance, size] : merges) {
    values.insert(values.end(), {first, second, distance, size});
  }
  file.create_matrix<double>("/linkage", std::ssize(merges), 4).write(0, values);
}

void Agglomerative::save(const std::filesystem::path& folder) const {
  Hdf5File file = Hdf5File::create(folder / "state.h5");
  file.set_schema("sartor.agglomerative_state", 1);
  write_merges(file, merges_);
  file.close();
}

void Agglomerative::load(const std::filesystem::path& folder) {
  const Hdf5File file = Hdf5File::open(folder / "state.h5");
  file.require_schema("sartor.agglomerative_state", 1);
  const auto stored = file.matrix<double>("/linkage");
  require(stored.rows() == std::ssize(merges_) && stored.columns() == 4, "{}: has {} x {} values, expected {} x 4",
          stored.name(), stored.rows(), stored.columns(), merges_.size());
  const auto values = stored.read();
  for (size_t i = 0; i < merges_.size(); i++) {
    merges_[i] = {values[4 * i], values[4 * i + 1], values[4 * i + 2], values[4 * i + 3]};
  }
  done_ = true;
}

}  // namespace sartor
