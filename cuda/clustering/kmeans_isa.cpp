// Compiled once per instruction set (SARTOR_ISA); everything except the table at the end is local to this file.
#include "clustering/kmeans_kernels.h"
#include "core/vectors_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

#ifdef __AVX512F__
constexpr int tile_rows = 12;  // 24 of 32 registers contain sums
#else
constexpr int tile_rows = 6;  // 12 of 16 registers contain sums
#endif
constexpr int tile_vectors = 2;
constexpr int64_t panel = centroid_panel, panel_vectors = panel / width;
constexpr int64_t candidates = 16;

void pack(const float* centroids, int64_t count, int64_t d, int64_t number, float* to) {
  for (int64_t lane = 0; lane < panel; lane++) {
    const int64_t k = number * panel + lane;
    float squares = 0;
    for (int64_t c = 0; c < d; c++) {
      const float x = k < count ? centroids[k * d + c] : 0;
      to[c * panel + lane] = x;
      squares += x * x;
    }
    to[d * panel + lane] = k < count ? -0.5f * squares : -__builtin_inff();
  }
}

// The best score in each lane, and the number of the vector of centroids that has it.
struct Best {
  Vector score;
  Integers vector;

  void take(Vector scores, int32_t number) {
    const Integers better = scores > score;
    score = better ? scores : score;
    vector = better ? Integers{} + number : vector;
  }
};

// Compares the rows with some vectors of centroids, the first of which has the given number.
template <int rows, int vectors>
void score(const float* x, int64_t d, const float* centroids, int32_t number, Best* best) {
  Vector sums[rows][vectors];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < vectors; v++) sums[r][v] = load(centroids + d * panel + v * width);
  }
  for (int64_t c = 0; c < d; c++) {
    Vector y[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) y[v] = load(centroids + c * panel + v * width);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      const Vector value = broadcast(x[r * d + c]);
#pragma GCC unroll 2
      for (int v = 0; v < vectors; v++) sums[r][v] = multiply_add(value, y[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < vectors; v++) best[r].take(sums[r][v], number + v);
  }
}

// The smallest of all lanes.
int32_t smallest(Integers x) {
  const Integers lanes = indices();
#pragma GCC unroll 4
  for (int distance = width / 2; distance > 0; distance /= 2) {
    const Integers other = __builtin_shuffle(x, lanes ^ distance);
    x = other < x ? other : x;
  }
  return x[0];
}

// Reduces the lanes to the best score and the lowest number of a centroid that has it.
void reduce(const Best& best, bool first, float& score, int32_t& nearest) {
  const float highest = largest(best.score);
  if (!first && !(highest > score)) return;
  score = highest;
  const Integers numbers = best.vector * width + indices();
  nearest = smallest(best.score == broadcast(highest) ? numbers : Integers{} + 0x7fffffff);
}

template <int rows>
void nearest_rows(const float* x, int64_t d, const CentroidPanels& panels, float* scores, int32_t* nearest) {
  Best best[rows];
  for (auto& each : best) each = {broadcast(-__builtin_inff()), Integers{}};
  const int64_t vectors = (panels.centroids + width - 1) / width;
  for (int64_t v = 0; v < vectors; v += tile_vectors) {
    const float* at = panels.data + v / panel_vectors * (d + 1) * panel + v % panel_vectors * width;
    const auto number = static_cast<int32_t>(panels.first * panel_vectors + v);
    if (v + 1 < vectors) {
      score<rows, tile_vectors>(x, d, at, number, best);
    } else {
      score<rows, 1>(x, d, at, number, best);
    }
  }
  for (int r = 0; r < rows; r++) reduce(best[r], panels.first == 0, scores[r], nearest[r]);
}

void nearest(const float* rows, int64_t count, int64_t d, const CentroidPanels& panels, float* scores,
             int32_t* nearest) {
  int64_t r = 0;
  for (; r + tile_rows <= count; r += tile_rows) {
    nearest_rows<tile_rows>(rows + r * d, d, panels, scores + r, nearest + r);
  }
  for (; r < count; r++) nearest_rows<1>(rows + r * d, d, panels, scores + r, nearest + r);
}

using Doubles [[gnu::vector_size(4 * width)]] = double;
using HalfVector [[gnu::vector_size(2 * width)]] = float;
typedef double AnyDoubles __attribute__((vector_size(4 * width), aligned(8)));
typedef float AnyHalfVector __attribute__((vector_size(2 * width), aligned(4)));

void add_rows(const float* rows, const int32_t* clusters, int64_t count, int64_t d, int64_t columns, double* sums) {
  for (int64_t r = 0; r < count; r++) {
    const float* row = rows + r * d;
    double* sum = sums + clusters[r] * d;
    int64_t c = 0;
    for (; c + width / 2 <= columns; c += width / 2) {
      const Doubles before = *reinterpret_cast<const AnyDoubles*>(sum + c);
      const HalfVector values = *reinterpret_cast<const AnyHalfVector*>(row + c);
      *reinterpret_cast<AnyDoubles*>(sum + c) = before + __builtin_convertvector(values, Doubles);
    }
    for (; c < columns; c++) sum[c] += static_cast<double>(row[c]);
  }
}

template <int rows> void distances_of(const float* x, int64_t d, const float* centroids, float* distances) {
  for (int64_t lane = 0; lane < candidates; lane += width) {
    Vector sums[rows] = {};
    for (int64_t c = 0; c < d; c++) {
      const Vector centroid = load(centroids + c * candidates + lane);
#pragma GCC unroll 8
      for (int r = 0; r < rows; r++) {
        const Vector difference = broadcast(x[r * d + c]) - centroid;
        sums[r] = multiply_add(difference, difference, sums[r]);
      }
    }
    for (int r = 0; r < rows; r++) store(distances + r * candidates + lane, sums[r]);
  }
}

void distances(const float* rows, int64_t count, int64_t d, const float* centroids, float* distances) {
  int64_t r = 0;
  for (; r + 8 <= count; r += 8) distances_of<8>(rows + r * d, d, centroids, distances + r * candidates);
  for (; r < count; r++) distances_of<1>(rows + r * d, d, centroids, distances + r * candidates);
}

}  // namespace

extern const KMeansKernels kmeans_kernels = {pack, nearest, add_rows, distances};

}  // namespace sartor::cuda::SARTOR_ISA
