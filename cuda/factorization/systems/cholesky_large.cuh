// The factorization and the solves of cholesky.cuh for a matrix of any size in device memory, in the same storage.
//
// U is computed by block rows of 64 unknowns from the top, each in chunks of 128 columns. A chunk of G is reduced by
// the products of the block rows above, which are read by tile rows, and then solved with the inverted diagonal block,
// which its first chunk contains.
//
// Products run on tensor cores as 3xTF32 (Ootomo and Yokota 2022): x = high + low, each the nearest TF32 number, so
// that |low| <= 2^-11 |x| and the rest is at most 2^-22 |x|; a b is approximated by the three products without low *
// low, which is as small. Products of TF32 numbers are exact in fp32. Tensor cores truncate their sums, so that a long
// sum would drift. Therefore eight products at a time are added there, to a fresh fragment, and the fragments are added
// in fp32 with rounding to nearest. The error is thus that of a sum in fp32 with a slightly larger unit of about 2^-22.
#pragma once

#include "core/gpu/tensor_cores.cuh"
#include "factorization/systems/cholesky.cuh"

namespace sartor::cuda {

// Shared memory of a block.
struct LargeCholesky {
  static constexpr int rows = 4, columns = 8;  // of tiles in a chunk
  static constexpr int unknowns = rows * Triangle::side;
  static constexpr int stages = 3;

  // One tile row of U: the columns of the block row, those of the chunk, and the solved right-hand sides.
  struct Stage {
    float a[rows][Triangle::entries], b[columns][Triangle::entries];
    float right[2][Triangle::side];
  };
  union {
    Stage stage[stages];
    float chunk[columns][rows][Triangle::entries];  // tiles, by columns
  };
  float diagonal[rows * (rows + 1) / 2 * Triangle::entries];
  float right[2][unknowns];  // z and l of the block row
};

namespace cholesky {

// Where a thread of a warp row and column has its sums: tile rows from `row` on, tile columns `column` and column + 1.
template <int threads> struct WarpTiles {
  static constexpr int across = LargeCholesky::columns / 2, down = threads / 32 / across;
  static constexpr int rows = LargeCholesky::rows / down;
  static_assert(threads == across * down * 32 && rows * down == LargeCholesky::rows);
  const int row = threadIdx.x / 32 / across * rows, column = threadIdx.x / 32 % across * 2;
};

// A TF32 number and the rest.
struct Split {
  uint32_t high, low;
};
__device__ inline Split split(float x) {
  Split parts;
  split_tf32(x, parts.high, parts.low);
  return parts;
}

// Entry (k, column) of a staged tile. The halves of every other two rows are exchanged, so that the loads of a
// fragment, 8 columns of 4 rows, have no bank conflicts.
__device__ inline int staged(int k, int column) { return k * side + (column ^ (k & 2) << 2); }

// One block row and one chunk of it.
template <int threads> struct LargeStep {
  using Shared = LargeCholesky;
  using Tiles = WarpTiles<threads>;

  Triangle g;
  int size;
  int first;  // tile row of the block row
  int begin;  // tile column of the chunk
  Shared& shared;

  __device__ bool is_diagonal() const { return begin == first; }
  __device__ int tiles() const { return Triangle::tiles(size); }
  __device__ int rows() const { return min(Shared::rows + 0, tiles() - first); }
  __device__ int columns() const { return min(Shared::columns + 0, tiles() - begin); }

  // Starts the copy of tile row k, if it is above the block row. Tiles beyond the matrix become 0.
  __device__ void load(int k, const float* z, const float* l) const {
    if (k < first) {
      Shared::Stage& to = shared.stage[k % Shared::stages];
      constexpr int pieces = Triangle::entries / 4;          // of 16 bytes, in a tile
      const int skipped = is_diagonal() ? Shared::rows : 0;  // they are the chunk's first columns
#pragma unroll 1
      for (int e = threadIdx.x + skipped * pieces; e < (Shared::rows + Shared::columns) * pieces; e += threads) {
        const int tile = e / pieces, entry = e % pieces * 4, row = entry / side;
        const int column = tile < Shared::rows ? first + tile : begin + tile - Shared::rows;
        const bool exists = column < tiles();
        copy_async_16(to.a[0] + tile * Triangle::entries + staged(row, entry % side),
                      g.tile<int64_t>(k, exists ? column : first) + entry, exists ? 16 : 0);
      }
      if (is_diagonal() && threadIdx.x < 8) {
        const int entry = threadIdx.x % 4 * 4;
        copy_async_16(to.right[threadIdx.x / 4] + entry, (threadIdx.x < 4 ? z : l) + k * side + entry);
      }
    }
    commit_copies();
  }

  // Whether the thread's sums of tile row `row` are needed.
  __device__ bool needed(const Tiles& own, int row) const {
    return own.column < columns() && row < rows() && first + row <= begin + own.column + 1;
  }

  // Calls visit(tile row, tile column, entry in the tile, two sums) for the thread's sums in tiles of the triangle.
  template <class Sums, class Visit> __device__ void for_sums(const Tiles& own, Sums& sums, Visit visit) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < Tiles::rows; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int row = own.row + i, column = own.column + j / 2;
        if (row >= rows() || column >= columns() || first + row > begin + column) continue;
        const int entry = lane / 4 * side + j % 2 * 8 + lane % 4 * 2;
        visit(row, column, entry, sums[i][j][0], sums[i][j][1]);
        visit(row, column, entry + 8 * side, sums[i][j][2], sums[i][j][3]);
      }
    }
  }

  // sums -= a^T b of one stage
  template <class Sums> __device__ void subtract(const Tiles& own, Sums& sums, const Shared::Stage& stage) const {
    const int lane = threadIdx.x % 32;
    const auto* a = is_diagonal() ? stage.b : stage.a;
    // The thread's entries of each half of a tile: rows lane % 4 and lane % 4 + 4, columns lane / 4 and lane / 4 + 8.
    const int entry = staged(lane % 4, lane / 4), places[2] = {entry, entry ^ 8};
    constexpr int half = Triangle::entries / 2, below = 4 * side;
#pragma unroll 1
    for (int start = 0; start < Triangle::entries; start += half) {
      Split right[4][2];
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float* b = stage.b[own.column + j / 2] + start + places[j % 2];
        right[j][0] = split(b[0]);
        right[j][1] = split(b[below]);
      }
#pragma unroll
      for (int i = 0; i < Tiles::rows; i++) {
        if (!needed(own, own.row + i)) continue;
        const float* tile = a[own.row + i] + start;
        const Split left[4] = {split(tile[places[0]]), split(tile[places[1]]), split(tile[places[0] + below]),
                               split(tile[places[1] + below])};
        const uint32_t high[4] = {left[0].high, left[1].high, left[2].high, left[3].high};
        const uint32_t low[4] = {left[0].low, left[1].low, left[2].low, left[3].low};
#pragma unroll
        for (int j = 0; j < 4; j++) {
          Sums16x8 products = {};
          multiply_add_tf32(products, low, {right[j][0].high, right[j][1].high});
          multiply_add_tf32(products, high, {right[j][0].low, right[j][1].low});
          multiply_add_tf32(products, high, {right[j][0].high, right[j][1].high});
#pragma unroll
          for (int e = 0; e < 4; e++) sums[i][j][e] -= products[e];
        }
      }
    }
  }

  // The part of the right-hand sides' products that one stage has, for this thread's entry of `right`.
  __device__ float right_products(const Shared::Stage& stage) const {
    const int which = threadIdx.x / Shared::unknowns, row = threadIdx.x % Shared::unknowns;
    float sum = 0;
#pragma unroll
    for (int step = 0; step < side; step++) {
      const int k = step ^ (row / side & 1);  // neighbouring tiles are in different banks
      sum = fmaf(stage.b[row / side][staged(k, row % side)], stage.right[which][k], sum);
    }
    return sum;
  }

  // Reduces the chunk by the block rows above. It is then in shared memory, the diagonal block apart from the rest; so
  // are the right-hand sides of the block row. Begins and ends with a barrier.
  __device__ void reduce(const float* z, const float* l) const {
    const Tiles own;
    float sums[Tiles::rows][4][4] = {};
    for_sums(own, sums, [&](int row, int column, int entry, float& left, float& right) {
      const float2 pair = *reinterpret_cast<const float2*>(g.tile<int64_t>(first + row, begin + column) + entry);
      left = pair.x;
      right = pair.y;
    });
    const bool has_right = is_diagonal() && threadIdx.x < 2 * Shared::unknowns;
    float products = 0;
    __syncthreads();
    load(0, z, l);
    load(1, z, l);
    for (int k = 0; k < first; k++) {
      wait_for_copies<1>();
      __syncthreads();
      load(k + 2, z, l);
      const Shared::Stage& stage = shared.stage[k % Shared::stages];
      subtract(own, sums, stage);
      if (has_right) products += right_products(stage);
    }
    wait_for_copies<0>();
    __syncthreads();
    const Triangle diagonal = {shared.diagonal};
    for_sums(own, sums, [&](int row, int column, int entry, float left, float right) {
      float* tile = is_diagonal() && column < Shared::rows ? diagonal.tile(row, column) : shared.chunk[column][row];
      *reinterpret_cast<float2*>(tile + entry) = float2{left, right};
    });
    if (has_right) {
      const int row = threadIdx.x % Shared::unknowns;
      const float* given = threadIdx.x < Shared::unknowns ? z : l;
      shared.right[0][threadIdx.x] = row < rows() * side ? given[first * side + row] - products : 0;
    }
    __syncthreads();
  }

  // Solves one tile column of the chunk with the diagonal block and writes it to U. Called by one warp.
  __device__ void solve_column(int column) const {
    const Triangle diagonal = {shared.diagonal};
    auto& tiles = shared.chunk[column];
    for (int row = 0; row < rows(); row++) {
      Part sums;
      sums.load(tiles[row]);
      for (int k = 0; k < row; k++) multiply_transposed<-1>(sums, diagonal.tile(k, row), tiles[k]);
      sums.store(tiles[row]);
      __syncwarp();
      solve_tile(diagonal.tile(row, row), tiles[row]);
      __syncwarp();
      sums.load(tiles[row]);
      sums.store(g.tile<int64_t>(first + row, begin + column));
    }
  }

  // Writes the diagonal block and the right-hand sides.
  __device__ void store_diagonal(float* z, float* l) const {
    const Triangle diagonal = {shared.diagonal};
    for (int column = 0; column < rows(); column++) {
      const int entries = (column + 1) * Triangle::entries;
      float* to = g.tile<int64_t>(first, first + column);
      for (int e = threadIdx.x; e < entries; e += threads) to[e] = diagonal.tile(0, column)[e];
    }
    const int row = threadIdx.x % Shared::unknowns;
    if (threadIdx.x < 2 * Shared::unknowns && row < rows() * side) {
      (threadIdx.x < Shared::unknowns ? z : l)[first * side + row] = shared.right[0][threadIdx.x];
    }
  }
};

}  // namespace cholesky

// As factorize() in cholesky.cuh, for G, bounds, z and l in device memory. One barrier per 16 unknowns above a chunk
// and about 12 for the chunk.
template <int threads>
__device__ bool factorize_large(Triangle g, int size, const float* bounds, float* z, float* l, LargeCholesky& shared) {
  using namespace cholesky;
  for (int first = 0; first < Triangle::tiles(size); first += LargeCholesky::rows) {
    for (int begin = first; begin < Triangle::tiles(size); begin += LargeCholesky::columns) {
      const LargeStep<threads> step = {g, size, first, begin, shared};
      step.reduce(z, l);
      int column = threadIdx.x / 32;
      if (step.is_diagonal()) {
        const int unknowns = min(size - first * side, LargeCholesky::unknowns + 0);
        if (!factorize<threads>(Triangle{shared.diagonal}, unknowns, bounds + first * side, shared.right[0],
                                shared.right[1])) {
          return false;
        }
        step.store_diagonal(z, l);
        column += LargeCholesky::rows;
      }
      for (; column < step.columns(); column += threads / 32) step.solve_column(column);
    }
  }
  __syncthreads();
  return true;
}

// x = U^-1 x for U and x in device memory. Called by all threads after a barrier; x is visible to all when it returns.
template <int threads> __device__ void solve_upper_large(Triangle u, int size, float* x, LargeCholesky& shared) {
  using namespace cholesky;
  constexpr int parts = threads / 32 / LargeCholesky::rows;  // of a row
  static_assert(parts >= 1 && parts <= LargeCholesky::stages);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, part = warp / LargeCholesky::rows;
  const int row = warp % LargeCholesky::rows;
  const int tiles = Triangle::tiles(size);
  auto* known = reinterpret_cast<float(*)[LargeCholesky::unknowns]>(shared.diagonal);  // by parts
  for (int last = tiles; last > 0;) {
    const int first = (last - 1) / LargeCholesky::rows * LargeCholesky::rows;
    const int rows = last - first;
    float2 sums = {};
    if (row < rows) {
#pragma unroll 4
      for (int j = last + part; j < tiles; j += parts)
        multiply_rows(sums, u.tile<int64_t>(first + row, j), x + j * side);
    }
    sums = sum_of_rows(sums);
    if (lane % 4 == 0) {
      known[part][row * side + lane / 4] = sums.x;
      known[part][row * side + lane / 4 + 8] = sums.y;
    }
    __syncthreads();
    if (warp == 0) {
      float* solved = shared.right[0];
      for (int e = lane; e < rows * side; e += 32) {
        solved[e] = x[first * side + e];
        for (int p = 0; p < parts; p++) solved[e] -= known[p][e];
      }
      __syncwarp();
      solve_upper<int64_t>(u, first, rows, solved);
      for (int e = lane; e < rows * side; e += 32) x[first * side + e] = solved[e];
    }
    __syncthreads();
    last = first;
  }
}

}  // namespace sartor::cuda
