// How a block of threads holds the normal equations of one row in registers; see normal_equations.cuh.
#pragma once

#include <algorithm>

#include "factorization/als_equations.h"
#include "factorization/systems/als_plan.h"
#include "factorization/systems/cholesky.cuh"

namespace sartor::cuda {

// Reads the thread's index anew instead of keeping what depends on it, as registers are scarce.
__device__ inline int thread_index() {
  int index;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
  return index;
}

// What a block of shape `panels_` holds. Unknowns are divided into panels of 64. Panel pairs of the triangle are
// divided among warps so that the numbers of their products are similar:
//   1 panel    four warps have the same triangle and divide the terms
//   2 panels   two warps have the triangles on the diagonal, two have half of the square between them
//   4 panels   six warps have the squares, two have two triangles each. Systems larger than 256 are computed region by
//              region, those above the diagonal with 128 x 256 unknowns: 8 squares
template <int panels_> struct GramShape : AlsShapeSizes<panels_> {
  using Sizes = AlsShapeSizes<panels_>;
  static constexpr int panels = panels_, panel = 64, warps = Sizes::threads / 32;
  static constexpr int units = panels == 4 ? 40 : 20;       // products of 16 x 8 unknowns per warp, at most
  static constexpr int height = panels == 4 ? 64 : 32;      // rows of a warp's part of a square
  static constexpr int primal_stride = Sizes::columns + 8;  // from term to term in a stage; avoids bank conflicts
  static constexpr int dual_stride = Sizes::depth + 4;      // from unknown to unknown
};

// A part of the triangle: columns `first` to first + 64 panels - 1, and as many rows (a triangle) or, if `above` >= 0,
// rows `above` to above + 127.
struct GramRegion {
  int first = 0, above = -1;

  __device__ bool triangle() const { return above < 0; }
};
// Region `index` of a system of more than 256 unknowns; with p columns of regions there are p^2.
__device__ inline GramRegion gram_region(int index) {
  int column = 0;
  while ((column + 1) * (column + 1) <= index) column++;
  const int row = index - column * column;
  return {column * 256, row == 0 ? -1 : (row - 1) * 128};
}

struct AlsRow : AlsEquations {
  const int32_t* columns;
  const float* values;
};

// What a problem makes of an entry of a row: the square root of its weight, which is 1 unless the problem is weighted,
// and what it adds to the right-hand side for each of the features.
struct Term {
  float root, residual;
};

// Parts of the right-hand sides of one unknown, and a part of the sum of the residuals.
struct RightSides {
  float z, l, total;  // P^T r, P^T 1, r.1
};

template <class Shape> struct alignas(16) GramShared {
  float stages[Shape::stages][Shape::stage_floats];
  float residuals[2][Shape::depth], roots[2][Shape::depth];
  float values[Shape::depth * Shape::id_stages], seconds[Shape::depth * Shape::id_stages];  // of ratings
  int begin, end;                                                                           // terms to add
  int32_t ids[std::max(Shape::depth * Shape::id_stages, Shape::columns)];                   // of the rows of Y to copy
  RightSides right[Shape::threads];                                                         // each thread uses its own
};

// Part of a region that a thread holds in registers, and its right-hand sides.
template <class Shape> struct GramSums {
  RightSides& right;
  float products[Shape::units][4];

  __device__ explicit GramSums(GramShared<Shape>& shared) : right(shared.right[threadIdx.x]) { set_zero(); }
  __device__ void set_zero() {
#pragma unroll
    for (int u = 0; u < Shape::units; u++) {
#pragma unroll
      for (int e = 0; e < 4; e++) products[u][e] = 0;
    }
    right = {};
  }
  // Sums of parts of a long row are stored as they are in registers; `memory` has Shape::sum_floats floats.
  __device__ void save(float* memory) const {
    for_parts(memory, *this, [](float4& to, float a, float b, float c, float d) { to = float4{a, b, c, d}; });
  }
  __device__ void load(float* memory) {
    for_parts(memory, *this, [](const float4& from, float& a, float& b, float& c, float& d) {
      const float4 part = from;
      a = part.x, b = part.y, c = part.z, d = part.w;
    });
  }
  // Adds to what save() has stored.
  __device__ void accumulate(float* memory) const {
    for_parts(memory, *this, [](float4& to, float a, float b, float c, float d) {
      const float4 part = to;
      to = float4{part.x + a, part.y + b, part.z + c, part.w + d};
    });
  }

 private:
  template <class Sums, class Body> static __device__ void for_parts(float* memory, Sums& sums, Body body) {
    auto* parts = reinterpret_cast<float4*>(memory) + threadIdx.x;
#pragma unroll
    for (int u = 0; u < Shape::units; u++) {
      auto& p = sums.products[u];
      body(parts[u * Shape::threads], p[0], p[1], p[2], p[3]);
    }
    float unused = 0;
    body(parts[Shape::units * Shape::threads], sums.right.z, sums.right.l, sums.right.total, unused);
  }
};

// The panels or parts of panels whose products a warp computes: unknowns row to row + height - 1 by column to
// column + 63, relative to the columns of a stage. On the diagonal, `row` is `column`.
struct WarpTile {
  int row, column;
  bool diagonal;
};

template <class Shape> __device__ WarpTile warp_tile(const GramRegion& region) {
  constexpr int panel = Shape::panel;
  const int warp = thread_index() / 32;
  if constexpr (Shape::panels == 1) {
    return {0, 0, true};
  } else if constexpr (Shape::panels == 2) {
    return warp < 2 ? WarpTile{warp * panel, warp * panel, true} : WarpTile{(warp - 2) * 32, panel, false};
  } else {
    if (!region.triangle()) return {256 + warp / 4 * panel, warp % 4 * panel, false};
    if (warp >= 6) return {(warp - 6) * 2 * panel, (warp - 6) * 2 * panel, true};
    const int column = warp < 1 ? 1 : warp < 3 ? 2 : 3;
    return {(warp - column * (column - 1) / 2) * panel, column * panel, false};
  }
}

// Calls visit(row, column, entries) for each 16 x 8 product of this warp that has unknowns of the system; `row` and
// `column` are its first unknowns.
template <class Shape, class Visit>
__device__ void for_products(const GramRegion& region, const AlsRow& system, GramSums<Shape>& sums, Visit visit) {
  const WarpTile tile = warp_tile<Shape>(region);
  const auto visit_valid = [&](int row, int column, float(&entries)[4]) {
    asm volatile("" ::: "memory");  // conditions are not all computed in advance, as registers are scarce
    const int size = static_cast<int>(system.size());
    if (row < size && column < Triangle::tiles(size) * Triangle::side) visit(row, column, entries);
  };
  const int row = region.triangle() ? region.first + tile.row : region.above + tile.row - Shape::unknowns;
  const int column = region.first + tile.column;
  if (tile.diagonal) {
#pragma unroll
    for (int triangle = 0; triangle < Shape::units / 20; triangle++) {
      int unit = triangle * 20;
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 2 * i; j < 8; j++) {
          visit_valid(column + triangle * Shape::panel + 16 * i, column + triangle * Shape::panel + 8 * j,
                      sums.products[unit++]);
        }
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < Shape::height / 16; i++) {
#pragma unroll
      for (int j = 0; j < 8; j++) visit_valid(row + 16 * i, column + 8 * j, sums.products[8 * i + j]);
    }
  }
}

}  // namespace sartor::cuda
