// Solves one row of alternating least squares. Compiled once per instruction set; everything except the table at the
// end is local to this file.
//
// The rated features y_k are the n rows of Y, r_k are the residuals. The smaller of two systems is solved
//
//   primal  (Y^T Y + lambda I) x = Y^T r             f x f
//   dual    (Y Y^T + lambda I) a = r,  x = Y^T a     n x n
//
// by the Cholesky factorization G = U^T U. A bias b is an additional unknown with feature 1 and regularization beta. It
// is eliminated by bordering, with a second right-hand side: U^T z = Y^T r (dual: r) and U^T l = Y^T 1 (dual: 1). Then
//
//   primal  b = (1.r - l.z) / (n + beta - l.l)       dual  b = l.z / (l.l + beta / lambda)
//
// and U x = z - b l (dual: U a = z - b l).
#include "factorization/als_equations.h"
#include "factorization/als_kernels.h"
#include "factorization/als_triangle.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int64_t chunk = 128;  // rows of the panel, accumulated in registers before sums are stored

// Scratch memory of one thread.
struct Scratch {
  Vector *z, *l;      // right-hand sides and solutions, one vector per slab
  Vector* bounds;     // lower bounds of the pivots, one vector per slab
  Vector* residuals;  // residuals of a chunk
  Vector* panel;      // a chunk of rows of Y (primal) or Y^T (dual); slab j starts at j * chunk
  Vector* triangle;   // G, overwritten by U
};

int64_t scratch_bytes(int64_t factors) {
  const int64_t slabs = slabs_of(factors);
  const int64_t vectors = 3 * slabs + chunk / width + chunk * slabs + slabs * (slabs + 1) / 2 * width;
  return vectors * static_cast<int64_t>(sizeof(Vector));
}

Scratch divide(void* memory, int64_t factors) {
  const int64_t slabs = slabs_of(factors);
  Vector* z = static_cast<Vector*>(memory);
  Vector *l = z + slabs, *bounds = l + slabs, *residuals = bounds + slabs, *panel = residuals + chunk / width;
  return {z, l, bounds, residuals, panel, panel + chunk * slabs};
}

struct Row {
  const AlsTask& task;
  int64_t f;  // factors
  int64_t n;  // ratings
  const int32_t* columns;
  const float* values;

  const float* feature(int64_t k) const { return task.fixed.data + columns[k] * f; }

  // Writes residuals begin to begin + count - 1 to `to`, padded with zeros to whole vectors.
  void residuals(int64_t begin, int64_t count, float* to) const {
    for (int64_t k = 0; k < count; k++) {
      const float bias = task.fixed_bias ? task.fixed_bias[columns[begin + k]] : 0;
      to[k] = values[begin + k] - task.mean - bias;
    }
    for (int64_t k = count; k < slabs_of(count) * width; k++) to[k] = 0;
  }

  // Rows of `fixed` to prefetch after rating `end` of this row: those of the next ratings of this and the following
  // rows. Prefetches the ratings themselves, which are read once and in order, but too slowly for the hardware to
  // notice.
  Upcoming after(int64_t end) const {
    const int32_t *next = columns + end, *last = task.ratings.columns + task.ratings.offsets[task.ratings.rows];
    for (int64_t k = 0; k < chunk; k += 64 / sizeof(float)) {
      __builtin_prefetch(values + end + k, 0, 3);
      __builtin_prefetch(next + chunk + k, 0, 3);
    }
    return {task.fixed.data, f, next, next + smaller(chunk, last - next)};
  }
};

template <int count> struct Slabs { static constexpr int columns = count; };

// Calls body(Slabs<4>(), j) for each group of four full slabs j to j + 3 and body(Slabs<1>(), j) for the others.
template <class Body> void for_slabs(int64_t columns, Body body) {
  int64_t j = 0;
  for (; (j + 4) * width <= columns; j += 4) body(Slabs<4>(), j);
  for (; j < slabs_of(columns); j++) body(Slabs<1>(), j);
}

// Loads the panel of the primal system: rows begin to begin + depth - 1 of Y, and zeros up to a multiple of 4. Adds Y^T
// r to z and Y^T 1 to l; returns 1.r.
float gather(const Row& row, int64_t begin, int64_t depth, const Scratch& scratch) {
  float* r = floats(scratch.residuals);
  row.residuals(begin, depth, r);
  for_slabs(row.f, [&](auto slabs, int64_t j) {
    constexpr int columns = slabs.columns;
    Vector z[columns] = {}, l[columns] = {};
    for (int64_t k = 0; k < depth; k++) {
      const float* y = row.feature(begin + k) + j * width;
#pragma GCC unroll 4
      for (int c = 0; c < columns; c++) {
        const Vector v = load_part(y + c * width, columns > 1 ? width : row.f - j * width);
        scratch.panel[(j + c) * chunk + k] = v;
        z[c] += r[k] * v;
        l[c] += v;
      }
    }
    for (int64_t k = depth; k % 4 != 0; k++) {
      for (int c = 0; c < columns; c++) scratch.panel[(j + c) * chunk + k] = Vector{};
    }
    for (int c = 0; c < columns; c++) {
      scratch.z[j + c] += z[c];
      scratch.l[j + c] += l[c];
    }
  });
  Vector total = {};
  for (int64_t k = 0; k < slabs_of(depth); k++) total += scratch.residuals[k];
  return sum_in_order(total);
}

// Loads the panel of the dual system: columns begin to begin + depth - 1 of Y, transposed.
void gather_transposed(const Row& row, int64_t begin, int64_t depth, const Scratch& scratch) {
  for (int64_t j = 0; j < slabs_of(row.n); j++) {
    for (int64_t c = 0; c < depth; c += width) {
      Vector tile[width] = {};
      for (int64_t k = 0; k < smaller(width, row.n - j * width); k++) {
        tile[k] = load_part(row.feature(j * width + k) + begin + c, row.f - begin - c);
      }
      transpose(tile);
#pragma GCC unroll 16
      for (int k = 0; k < width; k++) scratch.panel[j * chunk + c + k] = tile[k];
    }
  }
}

// Computes the triangle of P^T P. P has `depth` rows, which gather(begin, count) loads chunk by chunk.
template <class Gather> void gram(int64_t depth, int64_t slabs, const Scratch& scratch, Gather gather) {
  const auto slab = [&](int64_t j) { return scratch.panel + j * chunk; };
  for (int64_t begin = 0; begin < depth; begin += chunk) {
    const int64_t rows = smaller(chunk, depth - begin);
    Upcoming upcoming = gather(begin, rows);
    const Product product = {slab, rows, &upcoming};
    for (int64_t i = 0; i < slabs; i++) {
      if (begin == 0) {
        product.template update_block_row<Update::set>(scratch.triangle, i, slabs);
      } else {
        product.template update_block_row<Update::add>(scratch.triangle, i, slabs);
      }
    }
  }
}

// Adds lambda to the diagonal, sets the padding of the last slab to the identity, and sets the lower bounds of the
// pivots.
void regularize(const Scratch& scratch, int64_t size, float lambda) {
  for (int64_t j = 0; j < slabs_of(size); j++) {
    const Integers given = indices() < static_cast<int>(smaller(width, size - j * width));
    const Vector diagonal =
        add_to_diagonal(block(scratch.triangle, j, j), given ? broadcast(lambda) : broadcast(1));  // padding is 0
    scratch.bounds[j] = given ? diagonal * pivots::rounding : Vector{};
  }
}

float dot(const Vector* a, const Vector* b, int64_t slabs) {
  Vector products = {};
  for (int64_t j = 0; j < slabs; j++) products += a[j] * b[j];
  return sum_in_order(products);
}

// Writes x and, unless null, the bias. Returns false, without writing, if the system is numerically singular.
bool solve_with(const Row& row, const AlsEquations& system, float shift, const Scratch& scratch, float* x,
                float* bias) {
  const bool dual = system.dual;
  const int64_t size = system.size(), slabs = slabs_of(size);
  float total = 0;
  for (int64_t j = 0; j < slabs; j++) scratch.z[j] = scratch.l[j] = Vector{};
  if (dual) {
    row.residuals(0, row.n, floats(scratch.z));
    for (int64_t k = 0; k < row.n; k++) floats(scratch.l)[k] = 1;
    gram(row.f, slabs, scratch, [&](int64_t begin, int64_t depth) {
      gather_transposed(row, begin, depth, scratch);
      return row.after(row.n);
    });
  } else {
    gram(row.n, slabs, scratch, [&](int64_t begin, int64_t depth) {
      total += gather(row, begin, depth, scratch);
      return row.after(begin + depth);
    });
  }
  regularize(scratch, size, system.lambda + shift);
  if (!factorize(scratch.triangle, slabs, scratch.bounds)) return false;
  solve_transposed(scratch.triangle, slabs, scratch.z, scratch.l);
  if (bias) {
    const float lz = dot(scratch.l, scratch.z, slabs), ll = dot(scratch.l, scratch.l, slabs);
    if (!als_bias(system, shift, lz, ll, total, *bias)) return false;
    for (int64_t j = 0; j < slabs; j++) scratch.z[j] -= *bias * scratch.l[j];
  }
  solve(scratch.triangle, slabs, scratch.z);

  const float* solution = floats(scratch.z);
  if (!dual) {
    for (int64_t i = 0; i < row.f; i++) x[i] = solution[i];
    return true;
  }
  for_slabs(row.f, [&](auto slabs, int64_t j) {
    constexpr int columns = slabs.columns;
    Vector sums[columns] = {};
    for (int64_t k = 0; k < row.n; k++) {
#pragma GCC unroll 4
      for (int c = 0; c < columns; c++) {
        sums[c] += solution[k] * load_part(row.feature(k) + (j + c) * width, columns > 1 ? width : row.f - j * width);
      }
    }
    for (int64_t i = j * width; i < smaller((j + columns) * width, row.f); i++) x[i] = floats(sums)[i - j * width];
  });
  return true;
}

void fill(float value, const Row& row, float* x, float* bias) {
  for (int64_t i = 0; i < row.f; i++) x[i] = value;
  if (bias) *bias = value;
}

void solve_row(const AlsTask& task, int64_t index, void* memory) {
  const int64_t f = task.fixed.columns, begin = task.ratings.offsets[index],
                n = task.ratings.offsets[index + 1] - begin;
  const Row row = {task, f, n, task.ratings.columns + begin, task.ratings.values + begin};
  float *x = task.solved.data + index * f, *bias = task.solved_bias ? task.solved_bias + index : nullptr;
  if (n == 0) return fill(0, row, x, bias);

  const AlsEquations system = als_equations(task, n, width);
  const Scratch scratch = divide(memory, f);
  if (!system.needs_shift() && solve_with(row, system, 0, scratch, x, bias)) return;

  float trace = 0;
  for (int64_t k = 0; k < n; k++) {
    for (int64_t i = 0; i < f; i++) trace += row.feature(k)[i] * row.feature(k)[i];
  }
  const float mean = als_mean_diagonal(system, trace);
  for (float shift = pivots::next_shift(0, mean); shift >= 0; shift = pivots::next_shift(shift, mean)) {
    if (solve_with(row, system, shift, scratch, x, bias)) return;
  }
  fill(__builtin_nanf(""), row, x, bias);  // the input is not finite
}

}  // namespace

extern const AlsKernels als_kernels = {scratch_bytes, solve_row};

}  // namespace sartor::cuda::SARTOR_ISA
