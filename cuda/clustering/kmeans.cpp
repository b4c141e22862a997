#include "clustering/kmeans.h"

#include "base/require.h"
#include "core/device_buffer.h"
#include "core/profiler_range.h"
#include "operations.h"
#include "similarity/topk.h"

namespace sartor::cuda {

void nearest_centroids(Context& context, const NearestTask& task) {
  const auto& [rows, centroids, nearest, scores] = task;
  require(rows.columns == centroids.columns, "nearest_centroids: rows have {} columns, centroids {}", rows.columns,
          centroids.columns);
  require(centroids.rows >= 1, "nearest_centroids: {} centroids, expected 1 or more", centroids.rows);
  if (rows.rows == 0) return;
  const ProfilerRange range("nearest_centroids");
  if (!context.is_gpu()) return context.operations().nearest_centroids(context, task);
  const DeviceBuffer<float> bias(context, centroids.rows);
  negative_half_squares(context, {centroids, bias.data()});
  topk(context, {.queries = rows,
                 .items = centroids,
                 .item_bias = bias.data(),
                 .params = {.k = 1, .similarity = Similarity::dot},
                 .found = {rows.rows, 1, scores, nearest}});
}

void negative_half_squares(Context& context, const HalfSquaresTask& task) {
  if (task.rows.rows == 0) return;
  const ProfilerRange range("negative_half_squares");
  context.operations().negative_half_squares(context, task);
}

void cluster_sums(Context& context, const ClusterSumsTask& task) {
  require(task.count >= 1, "cluster_sums: {} clusters, expected 1 or more", task.count);
  require(task.rows.rows < int64_t{1} << 31, "cluster_sums: {} rows, expected less than 2^31", task.rows.rows);
  const ProfilerRange range("cluster_sums");
  context.operations().cluster_sums(context, task);
}

void candidate_distances(Context& context, const CandidateDistancesTask& task) {
  const auto& [rows, candidates, distances] = task;
  require(rows.columns == candidates.columns, "candidate_distances: rows have {} columns, candidates {}", rows.columns,
          candidates.columns);
  require(candidates.rows <= most_candidates, "candidate_distances: {} candidates, expected at most {}",
          candidates.rows, most_candidates);
  require(!context.is_gpu(), "candidate_distances: runs on CPUs only");
  if (rows.rows == 0) return;
  const ProfilerRange range("candidate_distances");
  context.operations().candidate_distances(context, task);
}

}  // namespace sartor::cuda
