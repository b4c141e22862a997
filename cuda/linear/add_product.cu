// Products on tensor cores with the accuracy of fp32. A block computes a tile of the sum from all terms, in order.
#include "linear/add_product.cuh"

#include "core/gpu/backend.cuh"
#include "factorization/implicit/products.cuh"

namespace sartor::cuda {
namespace {

// Grid: (tiles), those of a column of tiles one after the other, so that they share its part of the right matrix.
template <class Tile> __global__ void __launch_bounds__(Tile::threads, 3)
    add_product_kernel(const DenseProduct product, int64_t terms, int64_t row_tiles) {
  __shared__ __align__(16) typename Tile::Stage memory[Tile::stages];
  Tile tile(product, blockIdx.x % row_tiles * Tile::rows, blockIdx.x / row_tiles * Tile::columns, memory);
  tile.set_zero();
  tile.add(0, terms);
  tile.for_sums([](float& to, float sum) { to += sum; });
}

template <bool by_rows, bool by_columns> void launch(GpuBackend& backend, const DenseProduct& product, int64_t terms) {
  using Tile = ProductTile<64, 128, by_rows, by_columns>;
  const int64_t row_tiles = (product.rows + Tile::rows - 1) / Tile::rows;
  const int64_t column_tiles = (product.columns + Tile::columns - 1) / Tile::columns;
  add_product_kernel<Tile><<<static_cast<unsigned>(row_tiles * column_tiles), Tile::threads, 0, backend.stream()>>>(
      product, terms, row_tiles);
  check_launch("add_product");
}

}  // namespace

void add_product_gpu(Context& context, const AddProductTask& task) {
  const auto& [left, right, sum, left_transposed, right_transposed] = task;
  GpuBackend& backend = gpu(context);
  const int64_t terms = left_transposed ? left.rows : left.columns;
  const DenseProduct product = {.a = left.data,
                                .b = right.data,
                                .a_stride = left.columns,
                                .b_stride = right.columns,
                                .rows = sum.rows,
                                .columns = sum.columns,
                                .c = sum.data,
                                .c_stride = sum.columns};
  if (left_transposed) {
    right_transposed ? launch<false, false>(backend, product, terms) : launch<false, true>(backend, product, terms);
  } else {
    right_transposed ? launch<true, false>(backend, product, terms) : launch<true, true>(backend, product, terms);
  }
}

}  // namespace sartor::cuda
