#include "models/clustering/cluster_file.h"

#include "base/require.h"
#include "models/clustering/agglomerative.h"
#include "models/factorization/model_file.h"
#include "storage/hdf5_file.h"

namespace sartor {
namespace {

using datasets::Hdf5File;
constexpr const char* schema = "sartor.clusters";
constexpr int64_t version = 1;

}  // namespace

void write_clusters(const std::filesystem::path& path, const std::string& algorithm, const Scaling& scaling,
                    const Clustering& clustering, const std::vector<int64_t>& sizes, const datasets::IdMap& ids) {
  Hdf5File file = Hdf5File::create(path);
  file.set_schema(schema, version);
  file.set_attribute("algorithm", algorithm);
  scaling.write(file);
  file.create_matrix<float>("/centroids", clustering.clusters, clustering.columns).write(0, clustering.centroids);
  write_list(file, "/sizes", sizes);
  write_list(file, "/labels", clustering.labels);
  std::vector<std::string_view> names;
  for (int64_t r = 0; r < ids.size(); r++) names.push_back(ids[r]);
  file.create_strings("/ids", ids.size()).write(0, names);
  if (!clustering.merges.empty()) write_merges(file, clustering.merges);
  file.close();
}

StoredCentroids read_centroids(const std::filesystem::path& path_or_run, int64_t clusters, int64_t columns) {
  const bool run = std::filesystem::is_directory(path_or_run);
  const Hdf5File file = Hdf5File::open(run ? path_or_run / "model" / "clusters.h5" : path_or_run);
  file.require_schema(schema, version);
  const auto centroids = file.matrix<float>("/centroids");
  require(centroids.rows() == clusters && centroids.columns() == columns,
          "{}: has {} centroids of {} columns, expected {}, as model.n_clusters, of {}", centroids.name(),
          centroids.rows(), centroids.columns(), clusters, columns);
  StoredCentroids stored = {centroids.read(), Scaling::read(file, columns)};
  require_finite(stored.values, centroids.name());
  return stored;
}

}  // namespace sartor
