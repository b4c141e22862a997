#include "tasks/clusters/cluster.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <string_view>

#include "engine/results_table.h"
#include "models/clustering/cluster_file.h"
#include "schema/log.h"
#include "storage/sha256.h"
#include "tables/table_files.h"
#include "tables/table_writer.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;
using datasets::ColumnType;

// Identifies the vectors, because a resumed run must continue with the same ones.
std::string hash_of(const Vectors& vectors) {
  std::string ids;
  for (int64_t r = 0; r < vectors.ids.size(); r++) ids.append(vectors.ids[r]).push_back('\0');
  const auto* bytes = reinterpret_cast<const char*>(vectors.values.data());
  return datasets::sha256(datasets::sha256(ids) + datasets::sha256({bytes, vectors.values.size() * sizeof(float)}));
}

Vectors read(const ClusterConfig& config) {
  Vectors vectors =
      config.data.model ? read_vectors(*config.data.model, config.data.of) : read_vectors(*config.data.table);
  const auto source = config.data.model ? *config.data.model : config.data.table->table.path;
  require(vectors.columns > 0, "{} has no factors to cluster", source);
  require(vectors.ids.size() > 0, "{} has no {} to cluster", source, vectors.of);
  return vectors;
}

// What is clustered, and by what.
struct Work {
  Vectors vectors;  // scaled
  Scaling scaling;
  std::unique_ptr<Clusterer> clusterer;

  Work(const ClusterConfig& config, Vectors read, cuda::Context& context, int threads, Collective& ranks)
      : vectors(std::move(read)) {
    const auto& kmeans = config.model.kmeans;
    const bool is_kmeans = config.model.algorithm == ClusterAlgorithm::kmeans;
    StoredCentroids earlier;
    if (is_kmeans && kmeans.centroids) {
      earlier = read_centroids(*kmeans.centroids, kmeans.n_clusters, vectors.columns);
      scaling = earlier.scaling;
    } else {
      scaling = Scaling::fitted(config.scaling, vectors.rows());
    }
    scaling.apply({vectors.values.data(), vectors.ids.size(), vectors.columns});
    if (is_kmeans) {
      clusterer = std::make_unique<KMeans>(kmeans, vectors.rows(), std::move(earlier.values), context, threads, &ranks);
    } else {
      clusterer = std::make_unique<Agglomerative>(config.model.agglomerative, vectors.rows(), context);
    }
  }
};

fs::path table_path(const fs::path& folder, std::string_view name, TableExtension extension) {
  return folder / fmt::format("{}.{}", name, name_of(extension));
}

void write_labels(const fs::path& path, const datasets::IdMap& ids, const Clustering& clustering,
                  const ClusteringSummary& summary) {
  datasets::TableWriter writer(
      path, {{"id", ColumnType::text}, {"cluster", ColumnType::int64}, {"distance", ColumnType::float64}});
  constexpr int64_t block = 4096;
  for (int64_t first = 0; first < ids.size(); first += block) {
    const int64_t last = std::min(first + block, ids.size());
    std::vector<std::string_view> names;
    std::vector<int64_t> labels;
    for (int64_t r = first; r < last; r++) {
      names.push_back(ids[r]);
      labels.push_back(clustering.labels[r]);
    }
    writer.append({names, labels, std::span(summary.distances).subspan(first, last - first)});
  }
  writer.finish();
}

void write_summary(const fs::path& path, const datasets::IdMap& ids, const ClusteringSummary& summary) {
  datasets::TableWriter writer(path, {{"cluster", ColumnType::int64},
                                      {"size", ColumnType::int64},
                                      {"mean_distance", ColumnType::float64},
                                      {"nearest_id", ColumnType::text}});
  std::vector<int64_t> numbers;
  std::vector<std::string_view> nearest;
  for (const int64_t row : summary.nearest) {
    numbers.push_back(std::ssize(numbers));
    nearest.push_back(row < 0 ? std::string_view() : ids[row]);
  }
  writer.append({numbers, summary.sizes, summary.mean_distances, nearest});
  writer.finish();
}

// Returns the duration in seconds.
double timed(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::vector<fs::path> ClusterConfig::reads() const {
  std::vector<fs::path> paths;
  if (data.model) paths.push_back(*data.model);
  if (data.table) std::ranges::move(datasets::files_to_read(data.table->table), std::back_inserter(paths));
  if (model.algorithm == ClusterAlgorithm::kmeans && model.kmeans.centroids) paths.push_back(*model.kmeans.centroids);
  return paths;
}

void cluster(const ClusterConfig& config, Runtime& runtime, Run& run) {
  const bool on_cpu = runtime.context.is_gpu() && config.model.algorithm == ClusterAlgorithm::agglomerative;
  std::optional<cuda::Context> cpu;
  if (on_cpu) cpu.emplace(cuda::Context::cpu(runtime.threads));
  if (on_cpu) log_info("agglomerative clustering runs on the CPU");
  Vectors vectors = read(config);
  run.record("vectors_hash", hash_of(vectors));
  Work work(config, std::move(vectors), cpu ? *cpu : runtime.context, runtime.threads, run.ranks());
  Clusterer& clusterer = *work.clusterer;
  run.restore(clusterer);
  for (const auto step : run.steps(clusterer.steps())) {
    if (clusterer.finished()) break;
    run.ranks().name_step(fmt::format("iteration {}", step));
    std::vector<Metric> metrics;
    const double seconds = timed([&] { metrics = clusterer.step(); });
    metrics.push_back({"seconds", seconds});
    run.log(step, {{"train", metrics}});
    run.checkpoint(step, clusterer);
  }
  on_first(run.ranks(), [&] {
    const Clustering clustering = clusterer.result();
    const auto rows = work.vectors.rows();
    const ClusteringSummary summary = summarize(rows, clustering);
    const auto metrics = judge(rows, clustering, summary);
    const auto save = [&](const fs::path& folder) {
      const auto& ids = work.vectors.ids;
      write_clusters(folder / "clusters.h5", std::string(name_of(config.model.algorithm)), work.scaling, clustering,
                     summary.sizes, ids);
      write_labels(table_path(folder, "labels", config.tables), ids, clustering, summary);
      write_summary(table_path(folder, "clusters", config.tables), ids, summary);
    };
    run.finish(save, {{"train", metrics}});
    log_info("{}: {} {} in {:.0f} clusters, inertia {:.6g}", config.output, rows.rows, work.vectors.of,
             metrics[1].value, summary.inertia);
    return "";
  });
}

}  // namespace sartor
