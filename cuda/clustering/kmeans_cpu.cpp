#include "clustering/kmeans_cpu.h"

#include <algorithm>

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
      const int64_t left = centroids.rows - first * centroid_panel;
      const CentroidPanels some = {packed + first * panel_floats, first, std::min(together * centroid_panel, left)};
      kernels.nearest(rows.row(begin), end - begin, d, some, scores + begin, nearest + begin);
    }
  });
}

// Rows are divided into segments, whose number depends on the shape alone, and columns into parts.
void cluster_sums_cpu(Context& context, const ClusterSumsTask& task) {
  constexpr int64_t most_segments = 8, most_bytes = 64 << 20, part = 64;
  const auto& [rows, clusters, count, sums, sizes] = task;
  const int64_t d = rows.columns, size = count * d, threads = cpu(context).threads;
  const int64_t bytes = std::max<int64_t>(size * static_cast<int64_t>(sizeof(double)), 1);
  const int64_t segments = std::clamp<int64_t>(most_bytes / bytes, 1, most_segments);
  const int64_t length = (rows.rows + segments - 1) / segments, parts = (d + part - 1) / part;
  auto* partial = static_cast<double*>(context.scratch(segments * bytes));
  const KMeansKernels& kernels = kernels_of(context);
  parallel_for(threads, segments * parts, 1, [&](int64_t i, int64_t, int) {
    const int64_t first = std::min(i / parts * length, rows.rows), rest = rows.rows - first;
    const int64_t column = i % parts * part, columns = std::min(part, d - column);
    double* to = partial + i / parts * size + column;
    for (int64_t k = 0; k < count; k++) std::fill_n(to + k * d, columns, 0.0);
    kernels.add_rows(rows.row(first) + column, clusters + first, std::min(length, rest), d, columns, to);
  });
  parallel_for(threads, size, 1 << 14, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) {
      sums[i] = partial[i];
      for (int64_t segment = 1; segment < segments; segment++) sums[i] += partial[segment * size + i];
    }
  });
  std::fill_n(sizes, count, 0);
  for (int64_t r = 0; r < rows.rows; r++) sizes[clusters[r]]++;
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
