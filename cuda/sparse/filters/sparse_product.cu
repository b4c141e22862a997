// A warp adds the entries of a row for a tile of columns: each group of `lanes` lanes takes an entry at a time and
// reads 4 lanes columns of its row of the right matrix, 16 bytes per lane. Rows of more than long_row entries are
// shared by the warps of a block, so that a row with most of the entries does not keep one warp busy alone. The order
// of a row's sum depends on its own number of entries only.
//
// Presumes nothing about the rows; fastest if the right matrix stays in the L2 cache, since each entry reads a row of
// it. Shared memory: 512 lanes / 4 bytes.
#include "sparse/filters/sparse_product.cuh"

#include "core/gpu/four.cuh"

namespace sartor::cuda {
namespace {

constexpr int warp_size = 32, warps = 8, threads = warps * warp_size;
constexpr int64_t long_row = 512;  // entries

__device__ void add_of_lane(float4& sums, int distance) {
  sums.x += __shfl_xor_sync(~0u, sums.x, distance);
  sums.y += __shfl_xor_sync(~0u, sums.y, distance);
  sums.z += __shfl_xor_sync(~0u, sums.z, distance);
  sums.w += __shfl_xor_sync(~0u, sums.w, distance);
}

// Four columns per lane from column `first` on.
template <int lanes> class Tile {
 public:
  __device__ Tile(const SparseRows& rows, int64_t first, bool aligned)
      : rows_(rows), column_(first + threadIdx.x % lanes * 4), aligned_(aligned) {}

  __device__ bool is_long(int64_t row) const {
    return rows_.matrix.offsets[row + 1] - rows_.matrix.offsets[row] > long_row;
  }

  // The sum of every `shares`-th part of a row from part `share` on, in all groups. All lanes of a warp call it.
  __device__ float4 sum(int64_t row, int share, int shares) const {
    constexpr int groups = warp_size / lanes;
    const int64_t end = rows_.matrix.offsets[row + 1], step = groups * shares;
    const int64_t begin = rows_.matrix.offsets[row] + share * groups + threadIdx.x % warp_size / lanes;
    float4 sums = {};
#pragma unroll 4
    for (int64_t entry = begin; entry < end; entry += step) {
      const float* right = rows_.right + rows_.matrix.columns[entry] * rows_.columns;
      accumulate(sums, rows_.matrix.values[entry], load_four(right, column_, rows_.columns, aligned_));
    }
#pragma unroll
    for (int distance = lanes; distance < warp_size; distance *= 2) add_of_lane(sums, distance);
    return sums;
  }

  // to = a sums + b plus + c to
  __device__ void finish(int64_t row, const float4& sums) const {
    const int64_t at = row * rows_.columns;
    float4 result = {rows_.a * sums.x, rows_.a * sums.y, rows_.a * sums.z, rows_.a * sums.w};
    if (rows_.b != 0) accumulate(result, rows_.b, load_four(rows_.plus + at, column_, rows_.columns, aligned_));
    if (rows_.c != 0) accumulate(result, rows_.c, load_four(rows_.to + at, column_, rows_.columns, aligned_));
    store_four(rows_.to + at, column_, rows_.columns, aligned_, result);
  }

 private:
  const SparseRows& rows_;
  int64_t column_;
  bool aligned_;
};

// A block has `warps` rows. Grid: (rows / warps, columns / (4 lanes)).
template <int lanes> __global__ void __launch_bounds__(threads)
    multiply_rows_kernel(const SparseRows rows, bool aligned) {
  __shared__ float4 partial[warps][lanes];
  const int warp = threadIdx.x / warp_size, lane = threadIdx.x % warp_size;
  const int64_t first = int64_t{blockIdx.x} * warps, row = first + warp;
  const Tile<lanes> tile(rows, int64_t{blockIdx.y} * 4 * lanes, aligned);
  const bool exists = row < rows.matrix.rows, is_long = exists && tile.is_long(row);
  const bool any_long = __syncthreads_or(is_long);
  if (exists && !is_long) {
    const float4 sums = tile.sum(row, 0, 1);
    if (lane < lanes) tile.finish(row, sums);
  }
  if (!any_long) return;
  const int64_t end = min(first + warps, rows.matrix.rows);
  for (int64_t shared = first; shared < end; shared++) {
    if (!tile.is_long(shared)) continue;
    float4 sums = tile.sum(shared, warp, warps);
    if (lane < lanes) partial[warp][lane] = sums;
    __syncthreads();
    if (threadIdx.x < lanes) {
      sums = partial[0][lane];
      for (int other = 1; other < warps; other++) accumulate(sums, 1, partial[other][lane]);
      tile.finish(shared, sums);
    }
    __syncthreads();
  }
}

template <int lanes> void launch(GpuBackend& backend, const SparseRows& rows, const char* operation) {
  const auto blocks = [](int64_t size, int64_t per_block) {
    return static_cast<unsigned>((size + per_block - 1) / per_block);
  };
  const bool aligned = aligned_rows(rows.right, rows.columns) && aligned_rows(rows.to, rows.columns) &&
                       (rows.b == 0 || aligned_rows(rows.plus, rows.columns));
  const dim3 grid(blocks(rows.matrix.rows, warps), blocks(rows.columns, 4 * lanes));
  multiply_rows_kernel<lanes><<<grid, threads, 0, backend.stream()>>>(rows, aligned);
  check_launch(operation);
}

}  // namespace

void multiply_rows_gpu(GpuBackend& backend, const SparseRows& rows, const char* operation) {
  if (rows.matrix.rows == 0 || rows.columns == 0) return;
  if (rows.columns <= 32) return launch<8>(backend, rows, operation);
  if (rows.columns <= 64) return launch<16>(backend, rows, operation);
  launch<32>(backend, rows, operation);
}

void sparse_product_gpu(Context& context, const SparseProductTask& task) {
  const SparseRows rows = {
      .matrix = task.matrix, .right = task.right.data, .to = task.product.data, .columns = task.right.columns};
  multiply_rows_gpu(gpu(context), rows, "sparse_product");
}

}  // namespace sartor::cuda
