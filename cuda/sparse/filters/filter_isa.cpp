// Inner loops of sparse products and of the filters made of them. Compiled once per instruction set; everything except
// the table at the end is local to this file.
#include "core/vectors_isa.h"
#include "sparse/filters/filter_kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int lanes = width;

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// One row of the product, `vectors` vectors of columns from `column` on, of which the last has `left` elements. Entries
// are added to two sums in turn, so that additions overlap.
template <int vectors>
[[gnu::always_inline]] inline void multiply_row(const SparseRows& rows, int64_t row, int64_t column, int64_t left) {
  Vector sums[2][vectors] = {};
  const int64_t begin = rows.matrix.offsets[row], end = rows.matrix.offsets[row + 1];
  const float* right = rows.right + column;
  const auto add = [&](Vector(&sum)[vectors], int64_t entry) __attribute__((always_inline)) {
    const float* from = right + rows.matrix.columns[entry] * rows.columns;
    const Vector value = broadcast(rows.matrix.values[entry]);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
      sum[v] = multiply_add(value, vectors > 1 ? load(from + v * width) : load_part(from, left), sum[v]);
    }
  };
  int64_t entry = begin;
  for (; entry + 2 <= end; entry += 2) {
    add(sums[0], entry);
    add(sums[1], entry + 1);
  }
  if (entry < end) add(sums[0], entry);
  const int64_t at = row * rows.columns + column;
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++) {
    Vector result = rows.a * (sums[0][v] + sums[1][v]);
    const int64_t part = vectors > 1 ? width : left;
    if (rows.b != 0) result = multiply_add(broadcast(rows.b), load_part(rows.plus + at + v * width, part), result);
    if (rows.c != 0) result = multiply_add(broadcast(rows.c), load_part(rows.to + at + v * width, part), result);
    store_part(rows.to + at + v * width, result, part);
  }
}

void multiply(const SparseRows& rows, int64_t first, int64_t last) {
  for (int64_t row = first; row < last; row++) {
    int64_t column = 0;
    for (; column + 4 * width <= rows.columns; column += 4 * width) multiply_row<4>(rows, row, column, width);
    for (; column < rows.columns; column += width) multiply_row<1>(rows, row, column, rows.columns - column);
  }
}

void transpose_lanes(const float* from, int64_t size, const float* scale, int64_t count, float* to) {
  for (int64_t begin = 0; begin < size; begin += width) {
    const int64_t some = smaller(width, size - begin);
    Vector square[width] = {};
    for (int64_t i = 0; i < some; i++) square[i] = load(from + (begin + i) * lanes);
    transpose(square);
    const Vector factors = scale ? load_part(scale + begin, some) : broadcast(1);
    for (int64_t lane = 0; lane < count; lane++) store_part(to + lane * size + begin, factors * square[lane], some);
  }
}

int64_t collect(const float* scores, int64_t begin, int64_t size, float threshold, int64_t capacity, TopkKey* keys,
                int64_t& count) {
  const Vector bound = broadcast(threshold);
  for (; begin < size && count + width <= capacity; begin += width) {
    const int64_t some = smaller(width, size - begin);
    uint32_t found = above(load_part(scores + begin, some), bound);
    if (some < width) found &= (1u << some) - 1;
    for (; found; found &= found - 1) {
      const int64_t at = begin + __builtin_ctz(found);
      keys[count++] = topk_key(scores[at], static_cast<int32_t>(at));
    }
  }
  return smaller(begin, size);
}

}  // namespace

extern const FilterKernels filter_kernels = {lanes, multiply, transpose_lanes, collect};

}  // namespace sartor::cuda::SARTOR_ISA
