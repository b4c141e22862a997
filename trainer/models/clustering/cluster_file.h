// The file clusters.h5 of a clustering:
//
//   attributes               schema, schema_version, algorithm, scaling (none, standard or unit)
//   /centroids (K, d)        float32, of the scaled vectors
//   /sizes (K) int64         number of rows
//   /ids (N) string, /labels (N) int32
//   /scaling/mean, /scaling/deviation (d) float64     with scaling: standard
//   /linkage (N - 1, 4) float64                       of agglomerative clustering: the linkage matrix of SciPy
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "models/clustering/clustering.h"
#include "models/clustering/scaling.h"
#include "storage/id_map.h"

namespace sartor {

void write_clusters(const std::filesystem::path& path, const std::string& algorithm, const Scaling& scaling,
                    const Clustering& clustering, const std::vector<int64_t>& sizes, const datasets::IdMap& ids);

// Centroids of an earlier clustering and the scaling of its vectors.
struct StoredCentroids {
  std::vector<float> values;
  Scaling scaling;
};

// Reads a clusters.h5 or that of a run folder. Throws std::invalid_argument if the schema differs, there are not
// `clusters` centroids of `columns` columns, or a value is not finite.
StoredCentroids read_centroids(const std::filesystem::path& path_or_run, int64_t clusters, int64_t columns);

}  // namespace sartor
