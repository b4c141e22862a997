// task: cluster — divides vectors into clusters and writes their labels and centroids.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/run.h"
#include "models/clustering/agglomerative.h"
#include "models/clustering/kmeans.h"
#include "models/clustering/scaling.h"
#include "models/clustering/vectors.h"
#include "records/vector_rows.h"
#include "runtime/runtime.h"
#include "tables/table_config.h"

namespace sartor {

enum class ClusterAlgorithm { kmeans, agglomerative };
constexpr auto choices(ClusterAlgorithm) {
  return std::to_array<Choice<ClusterAlgorithm>>(
      {{"kmeans", ClusterAlgorithm::kmeans}, {"agglomerative", ClusterAlgorithm::agglomerative}});
}

struct ClusterModelConfig {
  ClusterAlgorithm algorithm = ClusterAlgorithm::kmeans;
  KMeansConfig kmeans;
  AgglomerativeConfig agglomerative;

  template <class Fields> void describe(Fields& field) {
    field.choice("algorithm", algorithm, "Clustering algorithm.", [&](ClusterAlgorithm chosen) {
      if (chosen == ClusterAlgorithm::kmeans) kmeans.describe(field);
      if (chosen == ClusterAlgorithm::agglomerative) agglomerative.describe(field);
    });
  }
  void check() const {
    if (algorithm == ClusterAlgorithm::kmeans) kmeans.check();
    if (algorithm == ClusterAlgorithm::agglomerative) agglomerative.check();
  }
};

struct ClusterDataConfig {
  std::optional<std::string> model;
  Entity of = Entity::items;
  std::optional<datasets::VectorRowsConfig> table;

  template <class Fields> void describe(Fields& field) {
    field("model", model, file_path(),
          "Run folder of task: factorize, its factors.h5, or an output of task: embed. Give this or table.");
    field("of", of, "Entities of a factor model to cluster. For embeddings it must be items: texts are clustered.");
    field("table", table, "Table with an id and a vector in each row.");
  }
  void check() const {
    require(model.has_value() != table.has_value(), "expected either model or table, found {}",
            model ? "both" : "neither");
  }
};

enum class TableExtension { csv, tsv, jsonl, parquet };
constexpr auto choices(TableExtension) {
  return std::to_array<Choice<TableExtension>>({{"csv", TableExtension::csv},
                                                {"tsv", TableExtension::tsv},
                                                {"jsonl", TableExtension::jsonl},
                                                {"parquet", TableExtension::parquet}});
}

struct ClusterConfig : RunConfig, RanksConfig {
  ClusterDataConfig data;
  ScalingKind scaling = ScalingKind::none;
  ClusterModelConfig model;
  TableExtension tables = TableExtension::csv;

  template <class Fields> void describe(Fields& field) {
    RunConfig::describe(field);
    RanksConfig::describe(field);
    field("data", data, "Vectors to cluster.");
    field("scaling", scaling,
          "How to scale the vectors first. standard: each column to mean 0 and standard deviation 1, for columns of "
          "different units; unit: each vector to length 1, so that clusters are by cosine. Centroids of an earlier run "
          "bring their scaling.");
    field("model", model, "Algorithm and its parameters.");
    field("tables", tables, "Format of the tables labels and clusters in the folder model of the run.");
  }
  void check() const {
    require(device != Device::cuda || model.algorithm != ClusterAlgorithm::agglomerative,
            "device is cuda, but agglomerative clustering runs on CPUs only");
  }
  std::vector<std::filesystem::path> reads() const;
  std::vector<Output> writes() const { return {{.path = output, .folder = true}}; }
};

// Writes to the folder model of the run: clusters.h5 (cluster_file.h), labels.csv with the cluster of each id and its
// distance to the centroid, and clusters.csv with size, mean distance and most central id of each cluster. run.ranks()
// share the iterations of k-means. The first one writes.
void cluster(const ClusterConfig& config, Runtime& runtime, Run& run);

}  // namespace sartor
