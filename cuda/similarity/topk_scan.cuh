// Products of topk_scan: a warp multiplies some rows of the items with all queries, which are in shared memory.
//
// Each class has these members:
//   queries    number of queries, those beyond the operand's are zero
//   rows       items of a warp per round
//   Panel      columns of the queries in shared memory: rows of stride(columns) elements
//   multiply   adds products to a lane's `sums` numbers
//   finish     adds over lanes; afterwards the lane has `results` scores, those of pair(0), pair(1), ...
#pragma once

#include <algorithm>

#include "core/gpu/tensor_cores.cuh"
#include "similarity/topk_scan.h"
#include "similarity/topk_search.cuh"

namespace sartor::cuda::scan {

constexpr int threads = ScanPlan::threads;

// Rows of the items from a warp's first on; `left` of them exist, possibly more than the warp takes.
template <class Element> struct WarpRows {
  const Element* first;
  int64_t stride;
  int left;
};

// Loads a vector, which is read only once, or zeros.
template <class Vector> __device__ Vector load(const void* from, bool real) {
  return real ? __ldcs(static_cast<const Vector*>(from)) : Vector{};
}

// A row of the items and a query.
struct Pair {
  int row, query;
};

// Copies columns first to first + columns - 1 of the queries to the panel, zeros beyond the operand.
template <class Products>
__device__ void load_panel(const TopkOperand& operand, int first, int columns, typename Products::Element* panel) {
  const auto* rows = static_cast<const typename Products::Element*>(operand.rows);
  for (int q = 0; q < Products::queries; q++) {
    for (int c = threadIdx.x; c < columns; c += threads) {
      const bool real = q < operand.count && first + c < operand.columns;
      panel[q * Products::stride(columns) + c] =
          real ? rows[q * operand.stride + first + c] : typename Products::Element(0);
    }
  }
}

// Adds each of `count` values over `lanes` neighbouring lanes; the sums are spread over the lanes. Afterwards a lane
// has the sums first, first + 1, ... of max(count / lanes, 1), where `first` is returned; if there are fewer sums than
// lanes, several lanes have the same. The order of addition does not depend on count.
template <int count, int lanes, int size> __device__ int add_over_lanes(float (&values)[size]) {
  if constexpr (lanes == 1) {
    return 0;
  } else if constexpr (count == 1) {
    values[0] += __shfl_xor_sync(~0u, values[0], lanes / 2);
    return add_over_lanes<1, lanes / 2>(values);
  } else {
    const bool upper = threadIdx.x & (lanes / 2);
    for (int i = 0; i < count / 2; i++) {
      const float given = upper ? values[i] : values[i + count / 2], kept = upper ? values[i + count / 2] : values[i];
      values[i] = kept + __shfl_xor_sync(~0u, given, lanes / 2);
    }
    return (upper ? count / 2 : 0) + add_over_lanes<count / 2, lanes / 2>(values);
  }
}

// fp32 by fused multiply-adds. Lanes read vectors of `vector` elements, as many lanes per row as make up 128 bytes.
template <class Vector, int query_count> struct Fp32Products {
  using Element = float;
  static constexpr int vector = sizeof(Vector) / sizeof(float);
  static constexpr int queries = query_count;
  static constexpr int lanes = 32 / vector, rows_at_a_time = 32 / lanes, lane_rows = queries == 1 ? 8 : 4;
  static constexpr int rows = rows_at_a_time * lane_rows;
  static constexpr int sums = lane_rows * queries, results = std::max(sums / lanes, 1);
  static constexpr int blocks_per_multiprocessor = queries == 1 ? 3 : 2;  // as far as registers are concerned
  static constexpr int stride(int columns) { return columns; }

  int first_result;

  __device__ static void multiply(float (&sum)[sums], const WarpRows<float>& items, int first, int end,
                                  const float* panel, int panel_stride) {
    const int column = threadIdx.x % lanes * vector, row = threadIdx.x % 32 / lanes, left = items.left - row;
    const float* lane_items = items.first + row * items.stride + column;
#pragma unroll 1
    for (int c = first; c < end; c += 32) {
      Vector item[lane_rows];
      const float* from = lane_items + c;
#pragma unroll
      for (int r = 0; r < lane_rows; r++) {
        item[r] = load<Vector>(from, r * rows_at_a_time < left && c + column < end);
        from += rows_at_a_time * items.stride;
      }
#pragma unroll
      for (int q = 0; q < queries; q++) {
        const Vector query = *reinterpret_cast<const Vector*>(panel + q * panel_stride + c - first + column);
#pragma unroll
        for (int r = 0; r < lane_rows; r++) add_products(sum[r * queries + q], item[r], query);
      }
    }
  }

  __device__ void finish(float (&sum)[sums]) { first_result = add_over_lanes<sums, lanes>(sum); }

  __device__ Pair pair(int result) const {
    const int index = first_result + result;
    return {index / queries * rows_at_a_time + static_cast<int>(threadIdx.x) % 32 / lanes, index % queries};
  }
  // Whether no other lane has the same results.
  __device__ static bool owns_results() { return threadIdx.x % std::max(lanes / sums, 1) == 0; }

 private:
  __device__ static void add_products(float& sum, float a, float b) { sum = fmaf(a, b, sum); }
  __device__ static void add_products(float& sum, float2 a, float2 b) { sum = fmaf(a.y, b.y, fmaf(a.x, b.x, sum)); }
  __device__ static void add_products(float& sum, float4 a, float4 b) {
    sum = fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
  }
};

// 16 bits on tensor cores, 8 queries to a tile. Rows of both operands have 16 bytes per lane in 64 columns, twice.
// These are the fragments of two products of 16 columns each: which columns make up a product does not matter as long
// as they are the same in both operands.
template <class Type, int query_tiles> struct TensorProducts {
  using Element = Type;
  static constexpr int queries = 8 * query_tiles;
  static constexpr int row_tiles = query_tiles == 1 ? 2 : 1;
  static constexpr int rows = 16 * row_tiles;
  static constexpr int sums = 4 * row_tiles * query_tiles, results = sums;
  static constexpr int blocks_per_multiprocessor = row_tiles == 1 ? 3 : 2;
  // Rows of the panel begin in different halves of the banks.
  static constexpr int stride(int columns) { return columns + 32; }

  __device__ static void multiply(float (&sum)[sums], const WarpRows<Element>& items, int first, int end,
                                  const Element* panel, int panel_stride) {
    const int row = threadIdx.x % 32 / 4, lane_column = threadIdx.x % 4 * 8, left = items.left - row;
    const Element* lane_items = items.first + row * items.stride + lane_column;
#pragma unroll 1
    for (int c = first; c < end; c += 64) {
      uint4 item[2][row_tiles][2];
      const Element* from = lane_items + c;
      const int rows_left[2] = {c + lane_column < end ? left : 0, c + lane_column + 32 < end ? left : 0};
#pragma unroll
      for (int r = 0; r < 2 * row_tiles; r++) {
        for (int half = 0; half < 2; half++)
          item[half][r / 2][r % 2] = load<uint4>(from + 32 * half, 8 * r < rows_left[half]);
        from += 8 * items.stride;
      }
#pragma unroll
      for (int half = 0; half < 2; half++) {
#pragma unroll
        for (int q = 0; q < query_tiles; q++) {
          const uint4 query = *reinterpret_cast<const uint4*>(panel + (8 * q + row) * panel_stride + c - first +
                                                              32 * half + lane_column);
#pragma unroll
          for (int r = 0; r < row_tiles; r++) {
            auto& tile = *reinterpret_cast<Sums16x8*>(sum + 4 * (r * query_tiles + q));
            const uint4 upper = item[half][r][0], lower = item[half][r][1];
            multiply_add<Element>(tile, {upper.x, lower.x, upper.y, lower.y}, {query.x, query.y});
            multiply_add<Element>(tile, {upper.z, lower.z, upper.w, lower.w}, {query.z, query.w});
          }
        }
      }
    }
  }

  __device__ void finish(float (&)[sums]) {}

  __device__ static Pair pair(int result) {
    const int lane = threadIdx.x % 32, tile = result / 4;
    return {tile / query_tiles * 16 + lane / 4 + result % 4 / 2 * 8,
            tile % query_tiles * 8 + lane % 4 * 2 + result % 2};
  }
  __device__ static bool owns_results() { return true; }
};

}  // namespace sartor::cuda::scan
