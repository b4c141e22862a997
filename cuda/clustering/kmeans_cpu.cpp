#include "clustering/kmeans_cpu.h"

#include <algorithm>
#include <iterator>

#include "clustering/cluster_chunks.h"
#include "clustering/kmeans_kernels.h"
#include "core/cpu_backend.h"
#include "core/parallel_for.h"

namespace sartor::cuda {
namespace {

const KMeansKernels& kernels_of(Context& context) {
  return best_of(cpu(context).isa, v3::kmeans_kernels, v4::kmeans_kernels);
}

}  // namespace

void nearest_centroids_cpu(Context& context, const NearestTask& task) {
  constexpr int64_t grain = 240, cached_bytes = 256 << 10;
  const auto& [rows, centroids, nearest, scores] = task;
  const KMeansKernels& kernels = kernels_of(context);
  const int64_t d = rows.columns, panels = (centroids.rows + centroid_panel - 1) / centroid_panel;
  const int64_t panel_floats = (d + 1) * centroid_panel, threads = cpu(context).threads;
  auto* packed = static_cast<float*>(context.scratch(panels * panel_floats * sizeof(float)));
  parallel_for(threads, panels, 1, [&](int64_t panel, int64_t, int) {
    kernels.pack(centroids.data, centroids.rows, d, panel, packed + panel * panel_floats);
  });
  const int64_t together = std::max<int64_t>(cached_bytes / (panel_floats * sizeof(float)), 1);
  parallel_for(threads, rows.rows, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t first = 0; first < panels; first += together) {
      const CentroidPanels some = {packed + first * panel_floats, first, std::min(together, panels - first)};
      kernels.nearest(rows.row(begin), end - begin, d, some, scores + begin, nearest + begin);
    }
  });
}

void cluster_sums_cpu(Context& context, const ClusterSumsTask& task) {
  const auto& [rows, clusters, count, sums, sizes] = task;
  const int64_t d = rows.columns;
  const ClusterChunks found(clusters, rows.rows, count, cluster_chunk);
  const auto& chunks = found.chunks;
  auto* partial = static_cast<double*>(context.scratch(chunks.size() * d * sizeof(double)));
  const KMeansKernels& kernels = kernels_of(context);
  parallel_for(cpu(context).threads, std::ssize(chunks), 1, [&](int64_t i, int64_t, int) {
    const auto& [cluster, begin, end] = chunks[i];
    std::fill_n(partial + i * d, d, 0.0);
    kernels.add_rows(rows.data, found.order.data() + begin, end - begin, d, partial + i * d);
  });
  std::ranges::copy(found.sizes, sizes);
  std::fill_n(sums, count * d, 0.0);
  for (size_t i = 0; i < chunks.size(); i++) {
    double* sum = sums + chunks[i].cluster * d;
    for (int64_t c = 0; c < d; c++) sum[c] += partial[i * d + c];
  }
}

void negative_half_squares_cpu(Context&, const HalfSquaresTask& task) {
  const auto& [rows, values] = task;
  for (int64_t r = 0; r < rows.rows; r++) {
    float squares = 0;
    for (int64_t c = 0; c < rows.columns; c++) squares += rows.row(r)[c] * rows.row(r)[c];
    values[r] = -0.5f * squares;
  }
}

void candidate_distances_cpu(Context& context, const CandidateDistancesTask& task) {
  const auto& [rows, candidates, distances] = task;
  const int64_t d = rows.columns;
  auto* columns = static_cast<float*>(context.scratch(d * most_candidates * sizeof(float)));
  for (int64_t c = 0; c < d; c++) {
    for (int64_t t = 0; t < most_candidates; t++) {
      columns[c * most_candidates + t] = t < candidates.rows ? candidates.row(t)[c] : 0;
    }
  }
  const KMeansKernels& kernels = kernels_of(context);
  parallel_for(cpu(context).threads, rows.rows, 1024, [&](int64_t begin, int64_t end, int) {
    kernels.distances(rows.row(begin), end - begin, d, columns, distances + begin * most_candidates);
  });
}

}  // namespace sartor::cuda
