// Cholesky factorization for als_isa.cpp, in slabs. Compiled once per instruction set; everything is local to the file
// that includes it.
//
// A matrix is stored in slabs of `width` columns, the number of floats per vector: entry (row k, column c) is lane c %
// width of vector k of slab c / width. For a symmetric or triangular matrix, slab j contains rows 0 to (j + 1) width -
// 1, in blocks of width x width. Thus a block row of G = Y^T Y is a product of two slabs of Y, and its update in the
// factorization, U^T U of the block rows above, is the same product of two slabs of U.
//
// The lower right quarter of a diagonal block, which is symmetric, is stored by its diagonals until the block is
// inverted: lane c of its vector t, 0 <= t <= half / 2, is a part of entry (c, (c + t) mod half), and so is lane half +
// c. Thus its update is a sum of products of vectors with their own rotations, two rows of Y at a time, with 2.5 (AVX2:
// 1.5) products of vectors per row instead of 8 (4). The lower left quarter is not computed.
#pragma once

#include "core/vectors_isa.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int64_t slabs_of(int64_t columns) { return (columns + width - 1) / width; }
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

inline const float* floats(const Vector* v) { return reinterpret_cast<const float*>(v); }
inline float* floats(Vector* v) { return reinterpret_cast<float*>(v); }

inline float sum_in_order(Vector v) {  // adds lanes in order
  float total = 0;
  for (int i = 0; i < width; i++) total += v[i];
  return total;
}

// Block (i, j), i <= j, of a triangle.
template <class V> V* block(V* triangle, int64_t i, int64_t j) { return triangle + (j * (j + 1) / 2 + i) * width; }

// Rows of a matrix that will be read next. Each step of a product prefetches one cache line of them, so that loads
// overlap with arithmetic.
struct Upcoming {
  const float* matrix;
  int64_t columns;
  const int32_t *next, *end;  // rows
  int64_t column = 0;

  void prefetch() {
    if (next == end) return;
    __builtin_prefetch(matrix + *next * columns + column, 0, 2);  // to L2, as L1 contains the panel
    column += 64 / sizeof(float);
    if (column >= columns) {
      column = 0;
      next++;
    }
  }
};

enum class Update { set, add, subtract };
constexpr int half = width / 2;  // rows of a tile: with up to three vectors of columns, the sums fit in registers

// target = / += / -= sum over k < depth of a[k]^T b[k]. Reads half floats of `a` and a vector of each b per k. Rows
// of all of them and of the targets are `width` floats apart.
template <int columns, Update update>
void update_tile(Vector* const* target, const float* a, const Vector* const* b, int64_t depth, Upcoming* upcoming) {
  Vector sums[half][columns];
#pragma GCC unroll 8
  for (int r = 0; r < half; r++) {
#pragma GCC unroll 3
    for (int j = 0; j < columns; j++) sums[r][j] = update == Update::set ? Vector{} : target[j][r];
  }
  for (int64_t k = 0; k < depth; k++) {
    if (upcoming) upcoming->prefetch();
    Vector y[columns];
#pragma GCC unroll 3
    for (int j = 0; j < columns; j++) y[j] = b[j][k];
#pragma GCC unroll 8
    for (int r = 0; r < half; r++) {
#pragma GCC unroll 3
      for (int j = 0; j < columns; j++) {
        if (update == Update::subtract) {
          sums[r][j] -= a[k * width + r] * y[j];
        } else {
          sums[r][j] += a[k * width + r] * y[j];
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < half; r++) {
#pragma GCC unroll 3
    for (int j = 0; j < columns; j++) target[j][r] = sums[r][j];
  }
}

constexpr int diagonals = half / 2 + 1;

// Exchanges the halves of a vector.
inline Vector exchanged(Vector x) { return __builtin_shuffle(x, indices() ^ half); }

// Lane c of each half of the result is lane (c + distance) mod half of the half.
template <int distance> Vector rotated(Vector x) {
  const Integers lanes = indices();
  return __builtin_shuffle(x, (lanes & half) | ((lanes + distance) & (half - 1)));
}

// sums += the diagonals of the products of two rows' right halves
template <int t = 0> inline void add_diagonals(Vector (&sums)[diagonals], Vector y) {
  sums[t] += y * rotated<t>(y);
  if constexpr (t + 1 < diagonals) add_diagonals<t + 1>(sums, y);
}

// Updates the lower right quarter of a diagonal block. The slab has zeros from row `depth` up to a multiple of 4. Two
// groups of sums, as each sum waits for its last addition.
template <Update update> void update_quarter(Vector* target, const Vector* slab, int64_t depth, Upcoming* upcoming) {
  const Integers lanes = indices(), right = lanes + (half + (lanes & half));  // of a pair of vectors
  Vector even[diagonals] = {}, odd[diagonals] = {};
  for (int64_t k = 0; k < depth; k += 4) {
    if (upcoming) upcoming->prefetch();
    add_diagonals(even, __builtin_shuffle(slab[k], slab[k + 1], right));
    add_diagonals(odd, __builtin_shuffle(slab[k + 2], slab[k + 3], right));
  }
#pragma GCC unroll 5
  for (int t = 0; t < diagonals; t++) {
    const Vector sum = even[t] + odd[t];
    target[t] = update == Update::set ? sum : update == Update::add ? target[t] + sum : target[t] - sum;
  }
}

// The last `half` rows of a diagonal block, of which the right half is valid. Lane c of `row` t is first entry (c, (c +
// t) mod half), which is entry (r, c) for r = (c + t) mod half by symmetry, so that lane c must move down by c vectors:
// by 1, 2, ... for the bits of c.
template <int t = 0> void unfold_quarter(const Vector* stored, Vector* row) {
  if constexpr (t < half) {
    const Vector parts = stored[t < diagonals ? t : half - t], whole = parts + exchanged(parts);
    row[t] = t < diagonals ? whole : rotated<t>(whole);
    unfold_quarter<t + 1>(stored, row);
  } else {
#pragma GCC unroll 3
    for (int step = 1; step < half; step *= 2) {
      const Integers moved = (indices() & step) != 0;
      Vector from[half];
#pragma GCC unroll 8
      for (int r = 0; r < half; r++) from[r] = row[r];
#pragma GCC unroll 8
      for (int r = 0; r < half; r++) row[r] = moved ? from[(r - step) & (half - 1)] : from[r];
    }
  }
}

// Adds to the diagonal of a diagonal block and returns it.
[[maybe_unused]] Vector add_to_diagonal(Vector* d, Vector terms) {
  const Integers lanes = indices();
  Vector diagonal = {};
#pragma GCC unroll 8
  for (int r = 0; r < half; r++) {
    d[r] += lanes == r ? terms : Vector{};
    diagonal = lanes == r ? d[r] : diagonal;
  }
  d[half] += lanes < half ? exchanged(terms) : Vector{};
  return lanes < half ? diagonal : d[half] + exchanged(d[half]);
}

// Stores the lower right quarter of a symmetric block by its diagonals, as update_quarter does.
void fold_quarter(Vector* d) {
  float entries[half][half];
  for (int r = 0; r < half; r++) {
    for (int c = 0; c < half; c++) entries[r][c] = d[half + r][half + c];
  }
  for (int t = 0; t < half; t++) {
    for (int c = 0; c < width; c++) d[half + t][c] = t < diagonals && c < half ? entries[c][(c + t) % half] : 0;
  }
}

// Stores scale times a symmetric matrix, whose rows are `stride` floats apart, as a triangle padded with zeros.
[[maybe_unused]] void store_symmetric(const float* matrix, int64_t stride, int64_t size, float scale,
                                      Vector* triangle) {
  for (int64_t j = 0; j < slabs_of(size); j++) {
    for (int64_t row = 0; row < (j + 1) * width; row++) {
      const Vector part = row < size ? load_part(matrix + row * stride + j * width, size - j * width) : Vector{};
      block(triangle, 0, j)[row] = scale * part;
    }
    fold_quarter(block(triangle, j, j));
  }
}

// The symmetric product of slabs that updates a triangle: slab(i)^T slab(j) over `depth` rows for block (i, j).
template <class Slab> struct Product {
  Slab slab;
  int64_t depth;
  Upcoming* upcoming = nullptr;

  // Rows `top` to top + half - 1 of blocks (i, j) for begin <= j < end.
  template <Update update>
  void update_half(Vector* triangle, int64_t i, int64_t top, int64_t begin, int64_t end) const {
    const float* a = floats(slab(i)) + top;
    for (int64_t j = begin, columns; j < end; j += columns) {
      const int64_t left = end - j;
      columns = left == 4 ? 2 : smaller(left, 3);  // 2 + 2 needs fewer loads than 3 + 1
      Vector* target[3];
      const Vector* b[3];
      for (int64_t c = 0; c < columns; c++) {
        target[c] = block(triangle, i, j + c) + top;
        b[c] = slab(j + c);
      }
      if (columns == 3) update_tile<3, update>(target, a, b, depth, upcoming);
      if (columns == 2) update_tile<2, update>(target, a, b, depth, upcoming);
      if (columns == 1) update_tile<1, update>(target, a, b, depth, upcoming);
    }
  }
  template <Update update> void update_diagonal(Vector* triangle, int64_t i) const {
    update_quarter<update>(block(triangle, i, i) + half, slab(i), depth, upcoming);
    update_half<update>(triangle, i, 0, i, i + 1);
  }
  template <Update update> void update_right_of_diagonal(Vector* triangle, int64_t i, int64_t slabs) const {
    update_half<update>(triangle, i, 0, i + 1, slabs);
    update_half<update>(triangle, i, half, i + 1, slabs);
  }
  // Block row i from its diagonal on.
  template <Update update> void update_block_row(Vector* triangle, int64_t i, int64_t slabs) const {
    update_quarter<update>(block(triangle, i, i) + half, slab(i), depth, upcoming);
    update_half<update>(triangle, i, 0, i, slabs);
    update_half<update>(triangle, i, half, i + 1, slabs);
  }
};

// Replaces the diagonal block D, stored as above, by the transposed inverse of its Cholesky factor, with zeros above
// the diagonal, so that solving with it is a product. The row operations that turn D into U turn I into that inverse;
// row r stores both, the inverse left of lane r. Each step waits for the last pivot, so that the remaining pivots are
// updated apart from the rows and square roots are taken only at the end. Returns false if a pivot is not above its
// bound.
bool invert_diagonal(Vector* d, Vector bounds) {
  const Integers lanes = indices();
  Vector row[width], remaining = {}, pivots = {};
#pragma GCC unroll 8
  for (int r = 0; r < half; r++) row[r] = d[r];
  unfold_quarter(d + half, row + half);
#pragma GCC unroll 16
  for (int r = 0; r < width; r++) remaining = lanes == r ? row[r] : remaining;
#pragma GCC unroll 16
  for (int r = 0; r < width; r++) {
    d[r] = row[r];
    asm("" : "+m"(d[r]));  // its entries are read from memory: GCC would shuffle registers
    const float* eliminated = floats(d + r);
    const Vector reciprocal = lane(1 / remaining, r);
    pivots = lanes == r ? remaining : pivots;
    remaining -= row[r] * row[r] * reciprocal;
    const Vector scaled = (lanes == r ? broadcast(1) : row[r]) * reciprocal;
    row[r] = lanes == r ? broadcast(1) : row[r];
#pragma GCC unroll 16
    for (int s = r + 1; s < width; s++) row[s] = (lanes == r ? Vector{} : row[s]) - eliminated[s] * scaled;
    d[r] = row[r];
  }
  const Vector scales = 1 / root(pivots);
#pragma GCC unroll 16
  for (int r = 0; r < width; r++) d[r] = lanes <= r ? d[r] * lane(scales, r) : Vector{};
  const Integers above = pivots > bounds;
  int failed = 0;
  for (int r = 0; r < width; r++) failed += above[r] == 0;
  return failed == 0;
}

// b = V b, where V is an inverted diagonal block.
void multiply_block(const Vector* inverse, Vector* b) {
  Vector row[width];
#pragma GCC unroll 16
  for (int r = 0; r < width; r++) row[r] = b[r];
#pragma GCC unroll 16
  for (int r = 0; r < width; r++) {
    Vector product = inverse[r][0] * row[0];
#pragma GCC unroll 16
    for (int s = 1; s <= r; s++) product += inverse[r][s] * row[s];
    b[r] = product;
  }
}

// Factorizes G = U^T U in place; diagonal blocks are inverted as above. `bounds` has a float for each column. Solves a
// group of block rows and then subtracts it from all rows below while it is in the cache. Work on block row i that does
// not need its inverted diagonal block follows the inversion, so that the processor fills the inversion's waits with
// it.
[[maybe_unused]] bool factorize(Vector* triangle, int64_t slabs, const Vector* bounds) {
  constexpr int64_t group = 128 / width;
  const auto solve_blocks = [&](int64_t i, int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; j++) multiply_block(block(triangle, i, i), block(triangle, i, j));
  };
  for (int64_t first = 0; first < slabs; first += group) {
    const auto slab = [&](int64_t j) { return block(triangle, first, j); };
    const int64_t last = smaller(first + group, slabs);
    for (int64_t i = first; i < last; i++) {
      const Product above = {slab, (i - first) * width};
      if (i > first) {
        solve_blocks(i - 1, i, i + 1);
        above.template update_diagonal<Update::subtract>(triangle, i);
      }
      if (!invert_diagonal(block(triangle, i, i), bounds[i])) return false;
      if (i > first) {
        solve_blocks(i - 1, i + 1, slabs);
        above.template update_right_of_diagonal<Update::subtract>(triangle, i, slabs);
      }
    }
    solve_blocks(last - 1, last, slabs);
    const Product whole = {slab, group * width};
    for (int64_t i = last; i < slabs; i++) whole.template update_block_row<Update::subtract>(triangle, i, slabs);
  }
  return true;
}

constexpr int chains = 4;  // independent sums

// z = U^-T z and l = U^-T l.
[[maybe_unused]] void solve_transposed(const Vector* triangle, int64_t slabs, Vector* z, Vector* l) {
  for (int64_t j = 0; j < slabs; j++) {
    const Vector* u = block(triangle, 0, j);
    Vector known_z[chains] = {}, known_l[chains] = {};
    for (int64_t k = 0; k < j * width; k += chains) {
#pragma GCC unroll 4
      for (int c = 0; c < chains; c++) {
        known_z[c] += floats(z)[k + c] * u[k + c];
        known_l[c] += floats(l)[k + c] * u[k + c];
      }
    }
    const Vector rest_z = z[j] - ((known_z[0] + known_z[1]) + (known_z[2] + known_z[3]));
    const Vector rest_l = l[j] - ((known_l[0] + known_l[1]) + (known_l[2] + known_l[3]));
    const Vector* inverse = block(triangle, j, j);
    Vector products_z[width], products_l[width];
#pragma GCC unroll 16
    for (int r = 0; r < width; r++) {
      products_z[r] = inverse[r] * rest_z;
      products_l[r] = inverse[r] * rest_l;
    }
    z[j] = sums(products_z);
    l[j] = sums(products_l);
  }
}

// x = U^-1 x.
[[maybe_unused]] void solve(const Vector* triangle, int64_t slabs, Vector* x) {
  for (int64_t i = slabs - 1; i >= 0; i--) {
    Vector known[width] = {};
    for (int64_t j = i + 1; j < slabs; j++) {
      const Vector* u = block(triangle, i, j);
      const Vector x_j = x[j];
#pragma GCC unroll 16
      for (int r = 0; r < width; r++) known[r] += u[r] * x_j;
    }
    x[i] -= sums(known);
    const Vector* inverse = block(triangle, i, i);
    Vector solved[chains] = {};
#pragma GCC unroll 16
    for (int r = 0; r < width; r++) solved[r % chains] += floats(x + i)[r] * inverse[r];
    x[i] = (solved[0] + solved[1]) + (solved[2] + solved[3]);
  }
}

}  // namespace
}  // namespace sartor::cuda::SARTOR_ISA
