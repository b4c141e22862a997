// Tiles of topk_fused: copies to shared memory, products on tensor cores, scores.
#pragma once

#include "core/gpu/tensor_cores.cuh"
#include "similarity/topk_fused.h"
#include "similarity/topk_search.cuh"

namespace sartor::cuda::fused {

constexpr int threads = FusedPlan::threads;
constexpr int item_tile = FusedPlan::item_tile;
constexpr int column_bytes = FusedPlan::column_bytes;
constexpr int step_bytes = 32;                        // of a row in one product of fragments
constexpr int warps_across = 4;                       // a warp has a half of the queries and a quarter of the items
constexpr int warp_items = item_tile / warps_across;  // 32, the bits of a word
constexpr int item_groups = warp_items / 8;

// Starts copies of `rows` rows from `first` on, column_bytes of each from byte `column`, in pieces of `piece` bytes.
// What is beyond the operand becomes 0. Chunk c, of 16 bytes, of row r goes to place c ^ r % 8, so that neither copies
// nor ldmatrix have bank conflicts.
template <int rows, int piece>
__device__ void copy_pieces(char* to, const TopkOperand& operand, int64_t first, int64_t column) {
  constexpr int pieces = column_bytes / piece, rows_at_a_time = threads / pieces;
  const int row = threadIdx.x / pieces, byte = threadIdx.x % pieces * piece;
  const int64_t element = bytes_of(operand.element), stride = operand.stride * element;
  const auto present = static_cast<int>(min(operand.count - first, int64_t{rows}));
  const int64_t left = operand.columns * element - column - byte;
  const int bytes = left < 0 ? 0 : left < piece ? static_cast<int>(left) : piece;
  const auto* source = static_cast<const char*>(operand.rows);
  const char* from = source + (first + row) * stride + column + byte;
  to += row * column_bytes + (byte / 16 ^ row % 8) * 16 + byte % 16;
  static_assert(rows_at_a_time % 8 == 0);  // so that the swizzle of later rows is the same
#pragma unroll 4
  for (int r = row; r < rows; r += rows_at_a_time) {
    const bool real = r < present && bytes > 0;
    piece == 16 ? copy_async_16(to, real ? from : source, real ? bytes : 0)
                : copy_async_4(to, real ? from : source, real ? bytes : 0);
    from += rows_at_a_time * stride;
    to += rows_at_a_time * column_bytes;
  }
}

template <int rows>
__device__ void copy_tile(char* to, const TopkOperand& operand, int64_t first, int64_t column, bool aligned) {
  aligned ? copy_pieces<rows, 16>(to, operand, first, column) : copy_pieces<rows, 4>(to, operand, first, column);
}

// Kinds of products besides __half and __nv_bfloat16.
struct Tf32 {};
struct ThreeTf32 {};

// Elements as tensor cores take them: the sum of two numbers for 3xTF32, otherwise `big` alone.
template <int n> struct Fragment { uint32_t big[n], small[n]; };

template <class Kind, int n> __device__ Fragment<n> fragment(const uint32_t (&bits)[n]) {
  Fragment<n> result;
  for (int i = 0; i < n; i++) {
    if constexpr (std::is_same_v<Kind, ThreeTf32>) {
      split_tf32(__uint_as_float(bits[i]), result.big[i], result.small[i]);
    } else {
      result.big[i] = std::is_same_v<Kind, Tf32> ? to_tf32(__uint_as_float(bits[i])) : bits[i];
    }
  }
  return result;
}

// 3xTF32 (Ootomo and Yokota, 2022): x_big + x_small differs from x by at most 2^-22 |x|, and the three products leave
// out only x_small y_small, at most 2^-22 |x y|: at most 3 x 2^-22 of each product, of any sign. fp32 has an error of
// up to 2^-24 of the partial sum at each of d additions. Tensor cores truncate their sums instead of rounding them, an
// error of one direction that would grow with d: so each adds up just the products of 8 columns, starting from 0 and
// with the small ones, and the results are added here, rounded to nearest.
template <class Kind> __device__ void multiply(Sums16x8& sums, const Fragment<4>& a, const Fragment<2>& b) {
  if constexpr (std::is_same_v<Kind, ThreeTf32>) {
    Sums16x8 fresh = {};
    multiply_add_tf32(fresh, a.small, b.big);
    multiply_add_tf32(fresh, a.big, b.small);
    multiply_add_tf32(fresh, a.big, b.big);
    for (int i = 0; i < 4; i++) sums[i] += fresh[i];
  } else if constexpr (std::is_same_v<Kind, Tf32>) {
    multiply_add_tf32(sums, a.big, b.big);
  } else {
    multiply_add<Kind>(sums, a.big, b.big);
  }
}

// A warp's part of a tile of scores, 16 row_groups x 32. Thread l has rows l / 4 + 8 h of each group of 16 and columns
// 2 (l % 4) + e of each group of 8: element 2 h + e of a fragment.
template <int row_groups> struct WarpTile {
  static constexpr int query_tile = 32 * row_groups;
  Sums16x8 sums[row_groups][item_groups];

  __device__ static int lane() { return threadIdx.x % 32; }
  __device__ static int first_row() { return threadIdx.x / 32 / warps_across * (query_tile / 2); }
  __device__ static int first_item() { return threadIdx.x / 32 % warps_across * warp_items; }
  __device__ static int row(int i, int h) { return first_row() + 16 * i + 8 * h + lane() / 4; }
  __device__ static int item(int j) { return first_item() + 8 * j + lane() % 4 * 2; }

  // Address of this lane's row, of 16 from `first` on, for ldmatrix of the first step. The chunks of the step from byte
  // b of the rows on differ from it in the bits b, because tiles are aligned to 128 bytes.
  __device__ static uint32_t address(const char* tile, int first) {
    const int row = lane() % 16;
    return shared_address(tile) + first * column_bytes + row * column_bytes + (lane() / 16 ^ row % 8) * 16;
  }

  // sums += products of one step of columns.
  template <class Kind> __device__ void add(uint32_t query_address, uint32_t item_address) {
    Fragment<2> b[item_groups];
#pragma unroll
    for (int j = 0; j < item_groups; j += 2) {
      uint32_t bits[4];
      ldmatrix_x4(bits, item_address + 8 * j * column_bytes);
      b[j] = fragment<Kind>({bits[0], bits[2]});
      b[j + 1] = fragment<Kind>({bits[1], bits[3]});
    }
#pragma unroll
    for (int i = 0; i < row_groups; i++) {
      uint32_t bits[4];
      ldmatrix_x4(bits, query_address + 16 * i * column_bytes);
      const Fragment<4> a = fragment<Kind>(bits);
#pragma unroll
      for (int j = 0; j < item_groups; j++) multiply<Kind>(sums[i][j], a, b[j]);
    }
  }

  // Turns sums into scores: -inf where `open`, bits of this warp's items, is 0.
  __device__ void finish(const float* query_scale, const float* scale, const float* bias, uint32_t open) {
    float factors[row_groups][2];
#pragma unroll
    for (int i = 0; i < row_groups; i++)
#pragma unroll
      for (int h = 0; h < 2; h++) factors[i][h] = query_scale[row(i, h)];
#pragma unroll
    for (int j = 0; j < item_groups; j++) {
      const auto scales = *reinterpret_cast<const float2*>(scale + item(j));
      auto biases = *reinterpret_cast<const float2*>(bias + item(j));
      const uint32_t bits = open >> (item(j) - first_item());
      if (!(bits & 1)) biases.x = -INFINITY;
      if (!(bits & 2)) biases.y = -INFINITY;
#pragma unroll
      for (int i = 0; i < row_groups; i++) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
          sums[i][j][2 * h] = final_score(sums[i][j][2 * h], factors[i][h], scales.x, biases.x);
          sums[i][j][2 * h + 1] = final_score(sums[i][j][2 * h + 1], factors[i][h], scales.y, biases.y);
        }
      }
    }
  }

  // The best score of row (i, h); NaN does not count.
  __device__ float best(int i, int h) const {
    float result = -INFINITY;
#pragma unroll
    for (int j = 0; j < item_groups; j++) result = fmaxf(result, fmaxf(sums[i][j][2 * h], sums[i][j][2 * h + 1]));
    return result;
  }

  // Scores of a row are numbered b = 8 j + e: item(0) + b is the item, and bit b of a word stands for it.
  static constexpr uint32_t row_bits = 0x03030303;

  // Those of row (i, h) that are at least `least`.
  __device__ uint32_t hits(int i, int h, float least) const {
    uint32_t bits = 0;
#pragma unroll
    for (int j = 0; j < item_groups; j++) {
      if (sums[i][j][2 * h] >= least) bits |= 1u << 8 * j;
      if (sums[i][j][2 * h + 1] >= least) bits |= 2u << 8 * j;
    }
    return bits;
  }

  __device__ float score(int i, int h, int b) const {
    float of_group[item_groups];
#pragma unroll
    for (int j = 0; j < item_groups; j++) of_group[j] = b & 1 ? sums[i][j][2 * h + 1] : sums[i][j][2 * h];
    return b & 16 ? (b & 8 ? of_group[3] : of_group[2]) : (b & 8 ? of_group[1] : of_group[0]);
  }
};

}  // namespace sartor::cuda::fused
