// Tiles of products of dense fp32 matrices on tensor cores. An element of a product is a sum in fixed order, which
// depends neither on the tile nor on the other rows and columns. For the precision, see split_products.cuh.
#pragma once

#include "factorization/systems/split_products.cuh"

namespace sartor::cuda {

// C = A B. A is stored by rows, (rows, terms), or by terms, (terms, rows); B by terms, or by columns, (columns, terms).
// Strides are those between rows of the arrays.
struct DenseProduct {
  const float *a, *b;
  int64_t a_stride, b_stride;
  int64_t rows, columns;  // of C
  float* c;
  int64_t c_stride;
};

// A tile of C of a block of 128 threads. Each of its four warps has 32 x 64 elements, in registers.
template <int rows_, int columns_, bool by_rows, bool by_columns = false> class ProductTile {
 public:
  static constexpr int rows = rows_, columns = columns_, depth = 16, stages = 3, threads = 128;

  struct Stage {
    float a[by_rows ? rows * (depth + 4) : depth * (rows + 8)];  // strides avoid bank conflicts
    float b[by_columns ? columns * (depth + 4) : depth * (columns + 8)];
  };

  __device__ ProductTile(const DenseProduct& product, int64_t row, int64_t column, Stage* memory)
      : product_(product), row_(row), column_(column), memory_(memory) {}

  __device__ void set_zero() {
#pragma unroll
    for (int j = 0; j < 16; j++) {
#pragma unroll
      for (int e = 0; e < 4; e++) sums_[j][e] = 0;
    }
  }

  // Adds terms begin to end - 1. Stages are copied while earlier ones are used.
  __device__ void add(int64_t begin, int64_t end) {
    const int64_t steps = (end - begin + depth - 1) / depth;
    __syncthreads();  // shared memory is free
    for (int step = 0; step < stages - 1; step++) copy(begin + step * depth, end, step);
    for (int64_t step = 0; step < steps; step++) {
      wait_for_copies<stages - 2>();
      __syncthreads();
      const int64_t next = step + stages - 1;
      copy(begin + next * depth, end, static_cast<int>(next % stages));
      use(memory_[step % stages]);
    }
    wait_for_copies<0>();
  }

  // Calls store(element of C, sum) for the thread's elements.
  template <class Store> __device__ void for_sums(Store store) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < 16; j++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int64_t row = row_ + warp_row() + j / 8 * 16 + lane / 4 + e / 2 * 8;
        const int64_t column = column_ + warp_column() + j % 8 * 8 + lane % 4 * 2 + e % 2;
        if (row < product_.rows && column < product_.columns) {
          store(product_.c[row * product_.c_stride + column], sums_[j][e]);
        }
      }
    }
  }

 private:
  static constexpr int across = columns / 64;
  static_assert(across * (rows / 32) * 32 == threads);

  __device__ static int warp_row() { return threadIdx.x / 32 / across * 32; }
  __device__ static int warp_column() { return threadIdx.x / 32 % across * 64; }

  // Starts to copy the stage of terms from `first` on, if there are any. Always commits a group.
  __device__ void copy(int64_t first, int64_t end, int stage) const {
    if (first < end) {
      const int64_t terms = end - first, rows_left = product_.rows - row_, columns_left = product_.columns - column_;
      Stage& to = memory_[stage];
      if constexpr (by_rows) {
        copy_lines<rows, depth, depth + 4>(to.a, product_.a + row_ * product_.a_stride + first, product_.a_stride,
                                           rows_left, terms);
      } else {
        copy_lines<depth, rows, rows + 8>(to.a, product_.a + first * product_.a_stride + row_, product_.a_stride, terms,
                                          rows_left);
      }
      if constexpr (by_columns) {
        copy_lines<columns, depth, depth + 4>(to.b, product_.b + column_ * product_.b_stride + first, product_.b_stride,
                                              columns_left, terms);
      } else {
        copy_lines<depth, columns, columns + 8>(to.b, product_.b + first * product_.b_stride + column_,
                                                product_.b_stride, terms, columns_left);
      }
    }
    commit_copies();
  }

  // Copies lines of a matrix, with zeros beyond the valid elements, of which there is at least one.
  template <int lines, int width, int to_stride>
  __device__ static void copy_lines(float* to, const float* from, int64_t from_stride, int64_t valid_lines,
                                    int64_t valid_width) {
    if (from_stride % 4 == 0 && reinterpret_cast<uintptr_t>(from) % 16 == 0) {
      copy_lines<lines, width, to_stride, 4>(to, from, from_stride, valid_lines, valid_width);
    } else {
      copy_lines<lines, width, to_stride, 1>(to, from, from_stride, valid_lines, valid_width);
    }
  }
  template <int lines, int width, int to_stride, int step>
  __device__ static void copy_lines(float* to, const float* from, int64_t from_stride, int64_t valid_lines,
                                    int64_t valid_width) {
    constexpr int pieces = width / step;
#pragma unroll(step == 4 ? 4 : 1)
    for (int e = threadIdx.x; e < lines * pieces; e += threads) {
      const int line = e / pieces, at = e % pieces * step;
      const bool valid = line < valid_lines && at < valid_width;
      const float* source = valid ? from + line * from_stride + at : from;
      const int count = valid ? static_cast<int>(min(valid_width - at, int64_t{step})) : 0;
      if constexpr (step == 4) {
        copy_async_16(to + line * to_stride + at, source, 4 * count);
      } else {
        copy_async_4(to + line * to_stride + at, source, 4 * count);
      }
    }
  }

  // Adds the products of one stage.
  __device__ void use(const Stage& stage) {
    constexpr int a_terms = by_rows ? 1 : rows + 8, a_rows = by_rows ? depth + 4 : 1;
    constexpr int b_terms = by_columns ? 1 : columns + 8, b_columns = by_columns ? depth + 4 : 1;
    if (row_ + warp_row() >= product_.rows) return;
#pragma unroll
    for (int term = 0; term < depth; term += 8) {
      Split left[4];
#pragma unroll
      for (int i = 0; i < 4; i++) left[i] = load_split<a_terms, a_rows>(stage.a, term, warp_row() + 8 * i);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int column = warp_column() + 32 * half;
        if (column_ + column >= product_.columns) break;
        Split right[4];
#pragma unroll
        for (int j = 0; j < 4; j++) right[j] = load_split<b_terms, b_columns>(stage.b, term, column + 8 * j);
        add_products<4>(sums_ + 4 * half, left[0], left[1], right);
        add_products<4>(sums_ + 8 + 4 * half, left[2], left[3], right);
      }
    }
  }

  const DenseProduct& product_;
  int64_t row_, column_;
  Stage* memory_;
  float sums_[16][4];  // of 16 x 8 elements: two rows of eight
};

}  // namespace sartor::cuda
