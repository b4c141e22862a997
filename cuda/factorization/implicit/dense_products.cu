// Dense products of implicit ALS: G = Y^T Y, and products of vectors with G.
#include "core/gpu/backend.cuh"
#include "factorization/implicit/implicit.cuh"
#include "factorization/implicit/implicit_plan.h"
#include "factorization/implicit/products.cuh"

namespace sartor::cuda {
namespace {

constexpr unsigned groups(int64_t count, int64_t size) { return static_cast<unsigned>((count + size - 1) / size); }

template <class Tile> __global__ void __launch_bounds__(Tile::threads, 3)
    multiply(DenseProduct product, int64_t terms) {
  __shared__ __align__(16) typename Tile::Stage memory[Tile::stages];
  Tile tile(product, int64_t{blockIdx.x} * Tile::rows, int64_t{blockIdx.y} * Tile::columns, memory);
  tile.set_zero();
  tile.add(0, terms);
  tile.for_sums([](float& to, float sum) { to = sum; });
}

using GramTile = ProductTile<gram_tile, GramPlan::tile_columns, false>;

// Computes a tile of one share. product: the first share; others follow at a distance of share_size.
__global__ void __launch_bounds__(GramTile::threads, 3)
    add_gram_rows(DenseProduct product, int64_t first, int64_t terms, GramPlan plan, int64_t share_size) {
  __shared__ __align__(16) GramTile::Stage memory[GramTile::stages];
  const int64_t row = int64_t{blockIdx.y} * GramTile::rows, column = row + int64_t{blockIdx.x} * GramTile::columns;
  if (first + column >= product.columns) return;
  const int64_t begin = int64_t{blockIdx.z} * plan.share, end = min(begin + plan.share, terms);
  product.c += blockIdx.z * share_size;
  GramTile tile(product, row, first + column, memory);
  for (int64_t part = begin; part == begin || part < end; part += GramPlan::part) {
    tile.set_zero();
    tile.add(part, min(part + GramPlan::part, end));
    if (part == begin) {
      tile.for_sums([](float& to, float sum) { to = sum; });
    } else {
      tile.for_sums([](float& to, float sum) { to += sum; });
    }
  }
}

// gram = the sum of the shares, on and to the right of the diagonal. Elements are those of rows first on.
__global__ void add_shares(const float* shares, GramPlan plan, int64_t first, int64_t rows, int64_t factors,
                           float* gram) {
  const int64_t column = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    if (column < first + row || column >= factors) continue;
    const float* share = shares + row * factors + column;
    float sum = *share;
    for (int64_t s = 1; s < plan.shares; s++) sum += share[s * rows * factors];
    gram[(first + row) * factors + column] = sum;
  }
}

constexpr int side = 32;

// Blocks of side x 8 threads transpose tiles.
__global__ void mirror(float* gram, int64_t factors) {
  __shared__ float tile[side][side + 1];
  if (blockIdx.x < blockIdx.y) return;
  const int64_t top = int64_t{blockIdx.y} * side, left = int64_t{blockIdx.x} * side;
  for (int r = threadIdx.y; r < side; r += blockDim.y) {
    const int64_t row = top + r, column = left + threadIdx.x;
    if (row <= column && column < factors) tile[r][threadIdx.x] = gram[row * factors + column];
  }
  __syncthreads();
  for (int r = threadIdx.y; r < side; r += blockDim.y) {
    const int64_t row = left + r, column = top + threadIdx.x;
    if (column < row && row < factors) gram[row * factors + column] = tile[threadIdx.x][r];
  }
}

template <int rows, int columns> void launch_multiply(const DenseProduct& product, int64_t terms, cudaStream_t stream) {
  using Tile = ProductTile<rows, columns, true>;
  const dim3 blocks(groups(product.rows, rows), groups(product.columns, columns));
  multiply<Tile><<<blocks, Tile::threads, 0, stream>>>(product, terms);
  check_launch("implicit_update");
}

}  // namespace

void gram_gpu(Context& context, const GramTask& task) {
  GpuBackend& device = gpu(context);
  const int64_t f = task.rows.columns, rows = task.last - task.first, size = rows * f;
  const GramPlan plan = gram_plan(task.rows.rows, f);
  float* to = task.gram + task.first * f;
  float* shares = to;
  if (plan.shares > 1) shares = static_cast<float*>(context.scratch(plan.shares * size * sizeof(float)));
  const DenseProduct product = {.a = task.rows.data + task.first,
                                .b = task.rows.data,
                                .a_stride = f,
                                .b_stride = f,
                                .rows = rows,
                                .columns = f,
                                .c = shares,
                                .c_stride = f};
  const dim3 blocks(groups(f - task.first, GramTile::columns), groups(rows, GramTile::rows),
                    static_cast<unsigned>(plan.shares));
  add_gram_rows<<<blocks, GramTile::threads, 0, device.stream()>>>(product, task.first, task.rows.rows, plan, size);
  check_launch("gram");
  if (plan.shares == 1) return;
  constexpr int threads = 128;
  const dim3 elements(groups(f, threads), static_cast<unsigned>(std::min<int64_t>(rows, 1 << 15)));
  add_shares<<<elements, threads, 0, device.stream()>>>(shares, plan, task.first, rows, f, task.gram);
  check_launch("gram");
}

void mirror_gpu(Context& context, float* gram, int64_t factors) {
  const unsigned tiles = groups(factors, side);
  mirror<<<dim3(tiles, tiles), dim3(side, 8), 0, gpu(context).stream()>>>(gram, factors);
  check_launch("implicit_update");
}

void multiply_gpu(Context& context, const ImplicitTask& task, const float* v, int64_t rows, int64_t first,
                  int64_t columns, float* products) {
  const int64_t f = task.fixed.columns;
  const cudaStream_t stream = gpu(context).stream();
  const DenseProduct product = {.a = v,
                                .b = task.gram + first,
                                .a_stride = f,
                                .b_stride = f,
                                .rows = rows,
                                .columns = columns,
                                .c = products,
                                .c_stride = columns};
  if (columns <= 64) {
    launch_multiply<128, 64>(product, f, stream);
  } else {
    launch_multiply<64, 128>(product, f, stream);
  }
}

}  // namespace sartor::cuda
