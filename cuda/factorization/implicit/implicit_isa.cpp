// Inner loops of implicit ALS. Compiled once per instruction set; everything except the table at the end is local to
// this file.
//
// The row's features y_k are the n rows of Y, q and b their weights. A product with its matrix is
//
//   A v = a0 G v + lambda v + sum over k of q_k <y_k, v> y_k
//
// of which G v is computed for many rows at once before. Here, the entries are taken `width` at a time: their dot
// products with v are the lanes of a vector, and their features are read a second time while they are in the L1 cache.
#include "factorization/als_triangle.h"
#include "factorization/implicit/implicit_equations.h"
#include "factorization/implicit/implicit_kernels.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int64_t chunk = 128;  // rows of the panel, accumulated in registers before sums are stored

struct Row {
  const ImplicitTask& task;
  int64_t f;  // factors
  int64_t n;  // entries
  const int32_t* columns;
  const float* values;
  float lambda;

  Row(const ImplicitTask& task, int64_t index) : task(task), f(task.fixed.columns) {
    const int64_t begin = task.entries.offsets[index];
    n = task.entries.offsets[index + 1] - begin;
    columns = task.entries.columns + begin;
    values = task.entries.values + begin;
    lambda = implicit_regularization(task.params, n, task.fixed.rows);
  }

  const float* feature(int64_t k) const { return task.fixed.data + columns[k] * f; }
  ImplicitWeight<Vector> weights(int64_t begin, int64_t count) const {
    return implicit_weight(task.params, load_part(values + begin, count));
  }
};

// Features of up to `width` entries, from one of their columns on. Those beyond the last entry repeat it.
struct Features {
  const float* row[width];

  Features(const Row& row, int64_t begin, int64_t column) {
    for (int64_t k = 0; k < width; k++) this->row[k] = row.feature(smaller(begin + k, row.n - 1)) + column;
  }
};

// Calls body(a constant number of vectors, j) for the vectors j of `columns` floats: four at a time while they are
// full.
template <int count> struct Vectors { static constexpr int number = count; };
template <class Body> [[gnu::always_inline]] inline void for_vectors(int64_t columns, Body body) {
  int64_t j = 0;
  for (; (j + 4) * width <= columns; j += 4) body(Vectors<4>(), j);
  for (; j < slabs_of(columns); j++) body(Vectors<1>(), j);
}

// Lane k is <features k, v>, for `size` floats. The lanes from `count` on are 0.
template <int count> [[gnu::always_inline]] inline Vector dots(const Features& features, const float* v, int64_t size,
                                                               Upcoming* upcoming = nullptr) {
  Vector products[width] = {};
  const int64_t full = size / width;
  for (int64_t j = 0; j < full; j++) {
    const Vector part = load(v + j * width);
#pragma GCC unroll 16
    for (int k = 0; k < count; k++) products[k] += load(features.row[k] + j * width) * part;
    if (upcoming) {
#pragma GCC unroll 16
      for (int k = 0; k < count; k += 2) upcoming->prefetch();
    }
  }
  if (full * width < size) {
    const Vector part = load_part(v + full * width, size - full * width);
#pragma GCC unroll 16
    for (int k = 0; k < count; k++) {
      products[k] += load_part(features.row[k] + full * width, size - full * width) * part;
    }
  }
  return sums(products);
}

// to += sum over k < count of coefficients[k] * features k, for `size` floats.
template <int count> [[gnu::always_inline]] inline void accumulate(const Features& features, const float* coefficients,
                                                                   int64_t size, float* to) {
  for_vectors(
      size, [&](auto vectors, int64_t j) __attribute__((always_inline)) {
        constexpr int number = vectors.number;
        const int64_t left = number > 1 ? width : size - j * width;
        Vector totals[2][number] = {};  // of even and odd entries, so that additions overlap
#pragma GCC unroll 4
        for (int c = 0; c < number; c++) totals[0][c] = load_part(to + (j + c) * width, left);
#pragma GCC unroll 16
        for (int k = 0; k < count; k++) {
#pragma GCC unroll 4
          for (int c = 0; c < number; c++)
            totals[k % 2][c] += coefficients[k] * load_part(features.row[k] + (j + c) * width, left);
        }
#pragma GCC unroll 4
        for (int c = 0; c < number; c++) store_part(to + (j + c) * width, totals[0][c] + totals[1][c], left);
      });
}

// Calls body(a constant number of entries, first entry, number of them that exist) for groups of entries.
template <class Body> [[gnu::always_inline]] inline void for_groups(int64_t n, Body body) {
  int64_t k = 0;
  for (; k + width <= n; k += width) body(Vectors<width>(), k, width);
  const int64_t left = n - k;
  if (left > width / 2) {
    body(Vectors<width>(), k, left);
  } else if (left > width / 4) {
    body(Vectors<width / 2>(), k, left);
  } else if (left > 0) {
    body(Vectors<width / 4>(), k, left);
  }
}

void complete(const ImplicitTask& task, int64_t index, const float* v, UpcomingEntries* next, float* product) {
  const Row row(task, index);
  const float a0 = task.params.unobserved_weight;
  const bool targets = next == nullptr;
  Upcoming upcoming = {task.fixed.data, row.f};
  if (next) upcoming = {task.fixed.data, row.f, next->next, next->end, next->column};
  for_vectors(row.f, [&](auto vectors, int64_t j) {
    for (int64_t c = 0; c < vectors.number; c++) {
      const int64_t at = (j + c) * width, left = row.f - at;
      store_part(product + at, a0 * load_part(product + at, left) + row.lambda * load_part(v + at, left), left);
    }
  });
  for_groups(row.n, [&](auto group, int64_t begin, int64_t count) {
    const Features features(row, begin, 0);
    const Vector products = dots<group.number>(features, v, row.f, targets ? nullptr : &upcoming);
    const ImplicitWeight<Vector> weights = row.weights(begin, count);
    Vector lanes = weights.square * products;
    if (targets) lanes -= indices() < static_cast<int>(count) ? weights.target : Vector{};
    alignas(Vector) float coefficients[width];
    store_part(coefficients, lanes, width);
    accumulate<group.number>(features, coefficients, row.f, product);
  });
  if (next) *next = {upcoming.next, upcoming.end, upcoming.column};
}

// Adds body(part of a, ...) over the vectors of `size` floats in fixed order.
template <class Body> [[gnu::always_inline]] inline float total(int64_t size, Body body) {
  Vector parts[4] = {};
  for_vectors(
      size, [&](auto vectors, int64_t j) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int c = 0; c < vectors.number; c++) {
          const int64_t at = (j + c) * width;
          parts[c] += body(at, vectors.number > 1 ? width : size - at);
        }
      });
  return sum((parts[0] + parts[1]) + (parts[2] + parts[3]));
}

float start(const float* gradient, int64_t factors, float* direction) {
  return total(factors, [&](int64_t at, int64_t left) {
    const Vector g = load_part(gradient + at, left);
    store_part(direction + at, -g, left);
    return g * g;
  });
}

float step(const float* product, float squares, int64_t factors, float* x, float* gradient, float* direction) {
  const float curvature = total(factors, [&](int64_t at, int64_t left) {
    return load_part(direction + at, left) * load_part(product + at, left);
  });
  if (squares == 0 || curvature <= 0) return 0;  // solved
  const float length = squares / curvature;
  const float next = total(factors, [&](int64_t at, int64_t left) {
    store_part(x + at, load_part(x + at, left) + length * load_part(direction + at, left), left);
    const Vector g = load_part(gradient + at, left) + length * load_part(product + at, left);
    store_part(gradient + at, g, left);
    return g * g;
  });
  const float kept = next / squares;
  for (int64_t at = 0; at < factors; at += width) {
    const int64_t left = factors - at;
    store_part(direction + at, kept * load_part(direction + at, left) - load_part(gradient + at, left), left);
  }
  return next;
}

// ---- blocks ----

// Scratch memory of one thread.
struct Scratch {
  Vector *z, *l;     // right-hand side and solution; zeros
  Vector* bounds;    // lower bounds of the pivots
  Vector* panel;     // a chunk of rows sqrt(q) y; slab j starts at j * chunk
  Vector* triangle;  // the block of A, overwritten by its factorization
};

int64_t triangle_vectors(int64_t slabs) { return slabs * (slabs + 1) / 2 * width; }
int64_t gram_floats(int64_t size) { return triangle_vectors(slabs_of(size)) * width; }
int64_t scratch_bytes(int64_t size) {
  const int64_t slabs = slabs_of(size);
  return (3 * slabs + chunk * slabs + triangle_vectors(slabs)) * static_cast<int64_t>(sizeof(Vector));
}

Scratch divide(void* memory, int64_t size) {
  const int64_t slabs = slabs_of(size);
  Vector* z = static_cast<Vector*>(memory);
  return {z, z + slabs, z + 2 * slabs, z + 3 * slabs, z + (3 + chunk) * slabs};
}

void store_gram(const ImplicitTask& task, int64_t first, int64_t size, float* to) {
  const int64_t f = task.fixed.columns;
  store_symmetric(task.gram + first * (f + 1), f, size, task.params.unobserved_weight, reinterpret_cast<Vector*>(to));
}

void predict(const ImplicitTask& task, int64_t index, float* predictions) {
  const Row row(task, index);
  const float* x = task.solved.row(index);
  for_groups(row.n, [&](auto group, int64_t begin, int64_t count) {
    store_part(predictions + begin, dots<group.number>(Features(row, begin, 0), x, row.f), count);
  });
}

// Loads rows begin to begin + depth - 1 of the panel, and zeros up to a multiple of 4. Adds their part of the negative
// gradient, (b - q prediction) y, to z.
void gather(const Row& row, const ImplicitBlock& part, int64_t begin, int64_t depth, const Scratch& scratch) {
  float roots[chunk], errors[chunk];
  for (int64_t k = 0; k < depth; k++) {
    const ImplicitWeight<float> weight = implicit_weight(row.task.params, row.values[begin + k]);
    roots[k] = __builtin_sqrtf(weight.square);
    errors[k] = weight.target - weight.square * part.predictions[begin + k];
  }
  for_vectors(part.size, [&](auto vectors, int64_t j) {
    constexpr int number = vectors.number;
    const int64_t left = number > 1 ? width : part.size - j * width;
    Vector z[number] = {};
    for (int64_t k = 0; k < depth; k++) {
      const float* y = row.feature(begin + k) + part.first + j * width;
#pragma GCC unroll 4
      for (int c = 0; c < number; c++) {
        const Vector v = load_part(y + c * width, left);
        scratch.panel[(j + c) * chunk + k] = roots[k] * v;
        z[c] += errors[k] * v;
      }
    }
    for (int64_t k = depth; k % 4 != 0; k++) {
      for (int c = 0; c < number; c++) scratch.panel[(j + c) * chunk + k] = Vector{};
    }
    for (int c = 0; c < number; c++) scratch.z[j + c] += z[c];
  });
}

// Adds the diagonal, sets the padding of the last slab to the identity and the lower bounds of the pivots. Returns the
// mean diagonal entry.
float regularize(const Scratch& scratch, int64_t size, float lambda) {
  Vector trace = {};
  for (int64_t j = 0; j < slabs_of(size); j++) {
    const Integers given = indices() < static_cast<int>(smaller(width, size - j * width));
    const Vector diagonal =
        add_to_diagonal(block(scratch.triangle, j, j), given ? broadcast(lambda) : broadcast(1));  // padding is 0
    scratch.bounds[j] = given ? diagonal * pivots::rounding : Vector{};
    trace += given ? diagonal : Vector{};
  }
  return sum(trace) / static_cast<float>(size);
}

// Solves the block's system with an addition to the diagonal; the solution is in scratch.z. Returns false if the system
// is numerically singular.
bool solve_with(const Row& row, const ImplicitBlock& part, const float* gradient, const float* x, float shift,
                float& mean, const Scratch& scratch) {
  const int64_t slabs = slabs_of(part.size);
  const Vector* start = reinterpret_cast<const Vector*>(part.gram);
  for (int64_t i = 0; i < triangle_vectors(slabs); i++) scratch.triangle[i] = start[i];
  const float a0 = row.task.params.unobserved_weight;
  for (int64_t j = 0; j < slabs; j++) {
    const int64_t left = part.size - j * width;
    scratch.z[j] = -(a0 * load_part(gradient + j * width, left) + row.lambda * load_part(x + j * width, left));
    scratch.l[j] = Vector{};
  }
  const auto slab = [&](int64_t j) { return scratch.panel + j * chunk; };
  for (int64_t begin = 0; begin < row.n; begin += chunk) {
    const int64_t depth = smaller(chunk, row.n - begin);
    gather(row, part, begin, depth, scratch);
    const Product product = {slab, depth};
    for (int64_t i = 0; i < slabs; i++) product.template update_block_row<Update::add>(scratch.triangle, i, slabs);
  }
  mean = regularize(scratch, part.size, row.lambda + shift);
  if (!factorize(scratch.triangle, slabs, scratch.bounds)) return false;
  solve_transposed(scratch.triangle, slabs, scratch.z, scratch.l);
  solve(scratch.triangle, slabs, scratch.z);
  return true;
}

void solve_block(const ImplicitTask& task, int64_t index, const ImplicitBlock& part, const float* gradient,
                 void* memory) {
  const Row row(task, index);
  const Scratch scratch = divide(memory, part.size);
  float* x = task.solved.row(index) + part.first;
  float mean = 0, ignored = 0;
  bool solved = solve_with(row, part, gradient, x, 0, mean, scratch);
  if (!(mean > 1e-30f)) mean = 1;
  for (float shift = 0; !solved && (shift = pivots::next_shift(shift, mean)) > 0;) {
    solved = solve_with(row, part, gradient, x, shift, ignored, scratch);
  }
  const float* change = floats(scratch.z);
  for (int64_t i = 0; i < part.size; i++) x[i] = solved ? x[i] + change[i] : __builtin_nanf("");
  for_groups(row.n, [&](auto group, int64_t begin, int64_t count) {
    const Vector changes = dots<group.number>(Features(row, begin, part.first), change, part.size);
    store_part(part.predictions + begin, load_part(part.predictions + begin, count) + changes, count);
  });
}

}  // namespace

extern const ImplicitKernels implicit_kernels = {complete,      start,      step,    gram_floats,
                                                 scratch_bytes, store_gram, predict, solve_block};

}  // namespace sartor::cuda::SARTOR_ISA
