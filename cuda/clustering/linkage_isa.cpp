// Compiled once per instruction set (SARTOR_ISA); everything except the table at the end is local to this file.
#include "clustering/linkage_kernels.h"
#include "core/vectors_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int lanes = width / 2;
using Doubles [[gnu::vector_size(8 * lanes)]] = double;
using FewFloats [[gnu::vector_size(4 * lanes)]] = float;
typedef double AnyDoubles __attribute__((vector_size(8 * lanes), aligned(8)));
typedef float AnyFewFloats __attribute__((vector_size(4 * lanes), aligned(4)));

inline Doubles load(const double* p) { return *reinterpret_cast<const AnyDoubles*>(p); }
inline void store(double* p, Doubles x) { *reinterpret_cast<AnyDoubles*>(p) = x; }
inline Doubles load_doubles(const float* p) {
  return __builtin_convertvector(static_cast<FewFloats>(*reinterpret_cast<const AnyFewFloats*>(p)), Doubles);
}
inline Doubles smaller_of(Doubles a, Doubles b) { return a < b ? a : b; }

constexpr int tile_vectors = 4;  // 16 (v4: 32) columns of a panel
constexpr int tile_rows = width == 16 ? 4 : 2;

template <int rows> void squares_of(const double* x, int64_t d, const float* panel, double* squares, int64_t stride) {
  Doubles sums[rows][tile_vectors] = {};
  for (int64_t c = 0; c < d; c++) {
    Doubles y[tile_vectors];
#pragma GCC unroll 4
    for (int v = 0; v < tile_vectors; v++) y[v] = load_doubles(panel + c * linkage_panel + v * lanes);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
      const Doubles value = x[r * d + c] - Doubles{};
#pragma GCC unroll 4
      for (int v = 0; v < tile_vectors; v++) {
        const Doubles difference = value - y[v];
        sums[r][v] += difference * difference;
      }
    }
  }
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < tile_vectors; v++) store(squares + r * stride + v * lanes, sums[r][v]);
  }
}

void squares(const double* x, int64_t count, int64_t d, const float* panel, double* squares, int64_t stride) {
  for (int64_t at = 0; at < linkage_panel; at += tile_vectors * lanes) {
    int64_t r = 0;
    for (; r + tile_rows <= count; r += tile_rows) {
      squares_of<tile_rows>(x + r * d, d, panel + at, squares + r * stride + at, stride);
    }
    for (; r < count; r++) squares_of<1>(x + r * d, d, panel + at, squares + r * stride + at, stride);
  }
}

int64_t first_minimum(const double* values, const double* penalties, int64_t count, double& best) {
  Doubles lowest[4];
  for (auto& each : lowest) each = best - Doubles{};
  int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
      lowest[v] = smaller_of(load(values + i + v * lanes) + load(penalties + i + v * lanes), lowest[v]);
    }
  }
  lowest[0] = smaller_of(smaller_of(lowest[0], lowest[1]), smaller_of(lowest[2], lowest[3]));
  double minimum = best;
  for (int lane = 0; lane < lanes; lane++) minimum = lowest[0][lane] < minimum ? lowest[0][lane] : minimum;
  for (; i < count; i++) {
    const double value = values[i] + penalties[i];
    minimum = value < minimum ? value : minimum;
  }
  if (!(minimum < best)) return -1;
  best = minimum;
  int64_t at = 0;
  while (values[at] + penalties[at] != minimum) at++;
  return at;
}

void unite(Linkage method, const double* x, double* y, const double* sizes, int64_t count, double x_size, double y_size,
           double distance) {
  const auto update = [&](const auto& formula) {
    for (int64_t i = 0; i < count; i++) y[i] = formula(x[i], y[i], sizes[i]);
  };
  const double all = x_size + y_size;
  switch (method) {
    case Linkage::single:
      return update([](double a, double b, double) { return a < b ? a : b; });
    case Linkage::complete:
      return update([](double a, double b, double) { return a > b ? a : b; });
    case Linkage::average:
      return update([=](double a, double b, double) { return (x_size * a + y_size * b) / all; });
    case Linkage::ward:
      return update([=](double a, double b, double size) {
        return ((x_size + size) * a + (y_size + size) * b - size * distance) / (all + size);
      });
  }
}

void lower(const double* values, int64_t count, double* nearest) {
  for (int64_t i = 0; i < count; i++) nearest[i] = values[i] < nearest[i] ? values[i] : nearest[i];
}

}  // namespace

extern const LinkageKernels linkage_kernels = {squares, first_minimum, unite, lower};

}  // namespace sartor::cuda::SARTOR_ISA
