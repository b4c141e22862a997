// Cholesky factorization G = U^T U of a symmetric positive definite matrix by one block, and solves with U. Up to
// about 128 unknowns, the matrix is in shared memory; cholesky_large.cuh treats larger ones in device memory.
//
// The upper triangle is stored in tiles of 16 x 16: tile (i, j), i <= j, is row-major and begins at entry
// 256 (j (j + 1) / 2 + i), aligned to 16 bytes. Entries below the diagonal are ignored. Rows and columns from `size`
// on, up to whole tiles, must be 0 in tiles above the diagonal, and so must right-hand sides; in diagonal tiles they
// are ignored. The factorization replaces a diagonal tile by the inverse of U's diagonal block, with zeros below the
// diagonal, so that solving with it is a product.
#pragma once

#include <cstdint>

namespace sartor::cuda {

struct Triangle {
  static constexpr int side = 16, entries = side * side;  // of a tile

  float* data;

  template <class Index> __host__ __device__ static constexpr Index tiles(Index size) {
    return (size + side - 1) / side;
  }
  template <class Index> __host__ __device__ static constexpr Index floats(Index size) {
    return tiles(size) * (tiles(size) + 1) / 2 * entries;
  }
  template <class Index> __device__ float* tile(Index i, Index j) const {
    return data + (j * (j + 1) / 2 + i) * entries;
  }
};

namespace cholesky {

constexpr int side = Triangle::side;

// A lane's part of a tile: rows lane / 4 and lane / 4 + 8, columns 4 (lane % 4) to 4 (lane % 4) + 3. A warp thus loads
// and stores whole rows, without bank conflicts.
struct Part {
  float4 top = {}, bottom = {};

  static __device__ int offset() { return threadIdx.x % 32 * 4; }
  __device__ void load(const float* tile) {
    top = *reinterpret_cast<const float4*>(tile + offset());
    bottom = *reinterpret_cast<const float4*>(tile + offset() + 8 * side);
  }
  __device__ void store(float* tile) const {
    *reinterpret_cast<float4*>(tile + offset()) = top;
    *reinterpret_cast<float4*>(tile + offset() + 8 * side) = bottom;
  }
};

__device__ inline void multiply_add(float4& sums, float a, const float4& b) {
  sums.x = fmaf(a, b.x, sums.x);
  sums.y = fmaf(a, b.y, sums.y);
  sums.z = fmaf(a, b.z, sums.z);
  sums.w = fmaf(a, b.w, sums.w);
}

// sums += sign * a^T b of tiles. A collective of a warp, as all functions below.
template <int sign> __device__ inline void multiply_transposed(Part& sums, const float* a, const float* b) {
  const int lane = threadIdx.x % 32;
  a += lane / 4;
  b += lane % 4 * 4;
#pragma unroll
  for (int k = 0; k < side; k++) {
    const float4 right = *reinterpret_cast<const float4*>(b + k * side);
    multiply_add(sums.top, sign * a[k * side], right);
    multiply_add(sums.bottom, sign * a[k * side + 8], right);
  }
}

// target -= a^T b
__device__ inline void subtract_product(float* target, const float* a, const float* b) {
  Part sums;
  sums.load(target);
  multiply_transposed<-1>(sums, a, b);
  sums.store(target);
}

// tile = inverse^T tile
__device__ inline void solve_tile(const float* inverse, float* tile) {
  Part sums;
  multiply_transposed<1>(sums, inverse, tile);
  __syncwarp();  // all lanes have read the tile
  sums.store(tile);
}

// Entry lane % 16 of a^T x for 16 entries x.
__device__ inline float multiply_transposed(const float* a, const float* x) {
  float sum = 0;
#pragma unroll
  for (int k = 0; k < side; k++) sum = fmaf(a[k * side + threadIdx.x % side], x[k], sum);
  return sum;
}

// Replaces a diagonal tile by the inverse of its Cholesky factor. Returns false in all lanes if a pivot is not above
// its bound. Lane c < 16 has column c of the tile, lane 16 + c column c of the identity: the row operations that turn
// the tile into U turn the identity into U^-T. Rows are scaled by the roots of the pivots only at the end, so that a
// column does not wait for a root.
__device__ inline bool invert_diagonal(float* tile, int size, const float* bounds) {
  constexpr unsigned all = ~0u;
  const int lane = threadIdx.x % 32, column = lane % side;
  const float bound = column < size ? bounds[column] : 0;
  float entries[side];
#pragma unroll
  for (int r = 0; r < side; r++) {
    const bool given = lane < side && column < size && r < size;
    entries[r] = given ? tile[r * side + column] : static_cast<float>(r == column);
  }
  float pivot = 1;  // of row `column`
#pragma unroll
  for (int r = 0; r < side; r++) {
    const float diagonal = __shfl_sync(all, entries[r], r);
    if (column == r) pivot = diagonal;
    const float scaled = entries[r] * __frcp_rn(diagonal);
#pragma unroll
    for (int s = r + 1; s < side; s++) entries[s] = fmaf(-__shfl_sync(all, entries[r], s), scaled, entries[s]);
  }
  const float scale = 1 / sqrtf(pivot);
#pragma unroll
  for (int r = 0; r < side; r++) entries[r] *= __shfl_sync(all, scale, r);
  if (lane >= side) {
#pragma unroll
    for (int r = 0; r < side; r += 4) {
      *reinterpret_cast<float4*>(tile + column * side + r) =
          float4{entries[r], entries[r + 1], entries[r + 2], entries[r + 3]};
    }
  }
  return __all_sync(all, pivot > bound);
}

// Subtracts the products of block row p of U from the tiles and right-hand sides below. The first warp does so for the
// next diagonal tile alone and inverts it, meanwhile the others do the rest. Returns false in the first warp if a pivot
// is not above its bound.
template <int warps> __device__ inline bool eliminate(Triangle g, int size, int p, const float* bounds, float* right) {
  const int warp = threadIdx.x / 32, tiles = Triangle::tiles(size), next = p + 1;
  if (warp == 0) {
    if (next == tiles) return true;
    subtract_product(g.tile(next, next), g.tile(p, next), g.tile(p, next));
    __syncwarp();
    return invert_diagonal(g.tile(next, next), size - next * side, bounds + next * side);
  }
  int j = next;  // column `tiles`: the right-hand sides
  for (int i = next + warp;; i += warps - 1) {
    while (i > j) i -= j++ - p;
    if (j > tiles || i == tiles) return true;
    if (j < tiles) {
      subtract_product(g.tile(i, j), g.tile(p, i), g.tile(p, j));
    } else {
      right[i * side + threadIdx.x % side] -= multiply_transposed(g.tile(p, i), right + p * side);
    }
  }
}

// sums += the lane's part of rows lane / 4 and lane / 4 + 8 of a tile times x.
__device__ inline void multiply_rows(float2& sums, const float* tile, const float* x) {
  Part a;
  a.load(tile);
  const float4 b = *reinterpret_cast<const float4*>(x + threadIdx.x % 4 * 4);
  sums.x += (a.top.x * b.x + a.top.y * b.y) + (a.top.z * b.z + a.top.w * b.w);
  sums.y += (a.bottom.x * b.x + a.bottom.y * b.y) + (a.bottom.z * b.z + a.bottom.w * b.w);
}

// Adds the parts of a row's four lanes.
__device__ inline float2 sum_of_rows(float2 sums) {
#pragma unroll
  for (int step = 1; step <= 2; step *= 2) {
    sums.x += __shfl_xor_sync(~0u, sums.x, step);
    sums.y += __shfl_xor_sync(~0u, sums.y, step);
  }
  return sums;
}

}  // namespace cholesky

// Factorizes G, with `size` >= 1 unknowns, in place, and replaces the right-hand sides z and l (whole tiles, aligned to
// 16 bytes) by U^-T z and U^-T l. bounds: lower bounds of the `size` pivots. Returns false in all threads, with G, z
// and l in an undefined state, if a pivot is not above its bound. Called by all threads of a block after a barrier;
// their results are visible to all when it returns. Two barriers per 16 unknowns.
template <int threads> __device__ bool factorize(Triangle g, int size, const float* bounds, float* z, float* l) {
  constexpr int warps = threads / 32;
  static_assert(threads % 32 == 0 && warps >= 2);
  using namespace cholesky;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, tiles = Triangle::tiles(size);
  float* right = lane < side ? z : l;  // each half of a warp has one
  bool positive = warp > 0 || invert_diagonal(g.tile(0, 0), size, bounds);
  for (int p = 0; p < tiles; p++) {
    if (!__syncthreads_and(positive)) return false;
    for (int j = p + 1 + warp; j < tiles; j += warps) solve_tile(g.tile(p, p), g.tile(p, j));
    if (warp == warps - 1) {
      const float solved = multiply_transposed(g.tile(p, p), right + p * side);
      __syncwarp();
      right[p * side + lane % side] = solved;
    }
    __syncthreads();
    positive = eliminate<warps>(g, size, p, bounds, right);
  }
  return true;
}

namespace cholesky {

// x = U^-1 x for the diagonal block of `rows` tile rows from `first` on. Called by one warp.
template <class Index> __device__ inline void solve_upper(Triangle u, Index first, int rows, float* x) {
  const int lane = threadIdx.x % 32;
  for (int p = rows - 1; p >= 0; p--) {
    float2 known = {};
    for (int j = p + 1; j < rows; j++) multiply_rows(known, u.tile(first + p, first + j), x + j * side);
    known = sum_of_rows(known);
    float* own = x + p * side + lane / 4;
    if (lane % 4 == 0) {
      own[0] -= known.x;
      own[8] -= known.y;
    }
    __syncwarp();
    float2 solved = {};
    multiply_rows(solved, u.tile(first + p, first + p), x + p * side);
    solved = sum_of_rows(solved);
    __syncwarp();
    if (lane % 4 == 0) {
      own[0] = solved.x;
      own[8] = solved.y;
    }
    __syncwarp();
  }
}

}  // namespace cholesky

// x = U^-1 x for x of whole tiles, aligned to 16 bytes. Called by one warp; other threads see x after a barrier.
__device__ inline void solve_upper(Triangle u, int size, float* x) {
  cholesky::solve_upper(u, 0, Triangle::tiles(size), x);
}

}  // namespace sartor::cuda
