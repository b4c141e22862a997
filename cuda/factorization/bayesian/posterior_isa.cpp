// Draws one row of a Bayesian matrix factorization. Compiled once per instruction set; everything except the table at
// the end is local to this file. The system is that of als_isa.cpp with another matrix than lambda I, and its solution
// has normal numbers added between the two triangular systems.
#include "factorization/als_triangle.h"
#include "factorization/bayesian/posterior_kernels.h"
#include "factorization/pivots.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int64_t chunk = 128;  // rows of the panel, accumulated in registers before sums are stored

int64_t triangle_vectors(int64_t slabs) { return slabs * (slabs + 1) / 2 * width; }

// Scratch memory of one thread.
struct Scratch {
  Vector *z, *zeros;  // right-hand side and solution
  Vector* bounds;     // lower bounds of the pivots
  Vector* panel;      // a chunk of rows sqrt(noise_precision) y; slab j starts at j * chunk
  Vector* triangle;   // A, overwritten by its factorization
};

int64_t prior_bytes(int64_t columns) {
  return triangle_vectors(slabs_of(columns)) * static_cast<int64_t>(sizeof(Vector));
}
int64_t scratch_bytes(int64_t columns) {
  return (3 + chunk) * slabs_of(columns) * static_cast<int64_t>(sizeof(Vector)) + prior_bytes(columns);
}
Scratch divide(void* memory, int64_t columns) {
  const int64_t slabs = slabs_of(columns);
  Vector* z = static_cast<Vector*>(memory);
  return {z, z + slabs, z + 2 * slabs, z + 3 * slabs, z + (3 + chunk) * slabs};
}

void store_prior(const PosteriorTask& task, void* prior) {
  const int64_t columns = task.precision.columns;
  store_symmetric(task.precision.data, columns, columns, 1, static_cast<Vector*>(prior));
}

struct Row {
  const PosteriorTask& task;
  int64_t f;  // numbers of a row
  int64_t n;  // ratings
  const int32_t* columns;
  const float* values;
  const float* pull;
  int64_t bias;  // place of the bias, or -1

  Row(const PosteriorTask& task, int64_t index) : task(task), f(task.fixed.columns), bias(task.biases ? f - 1 : -1) {
    const int64_t begin = task.ratings.offsets[index];
    n = task.ratings.offsets[index + 1] - begin;
    columns = task.ratings.columns + begin;
    values = task.ratings.values + begin;
    pull = task.pull.row(task.pull.rows == 1 ? 0 : index);
  }

  const float* fixed(int64_t k) const { return task.fixed.data + columns[k] * f; }
  float residual(int64_t k) const { return values[k] - task.mean - (bias < 0 ? 0 : fixed(k)[bias]); }
  // Slab j of the features of rating k: the fixed row with 1 in place of its bias.
  Vector feature(int64_t k, int64_t j) const {
    const Vector v = load_part(fixed(k) + j * width, f - j * width);
    return bias >= j * width ? (indices() == static_cast<int>(bias - j * width) ? broadcast(1) : v) : v;
  }
};

// Loads rows begin to begin + depth - 1 of the panel, and zeros up to a multiple of 4. Adds their part of
// noise_precision sum residual y to z.
void gather(const Row& row, int64_t begin, int64_t depth, const Scratch& scratch) {
  const float precision = row.task.noise_precision, root_of_it = __builtin_sqrtf(precision);
  float residuals[chunk];
  for (int64_t k = 0; k < depth; k++) residuals[k] = precision * row.residual(begin + k);
  for (int64_t j = 0; j < slabs_of(row.f); j++) {
    Vector z[2] = {};  // of even and odd ratings, so that additions overlap
    Vector* panel = scratch.panel + j * chunk;
    for (int64_t k = 0; k < depth; k++) {
      const Vector y = row.feature(begin + k, j);
      panel[k] = root_of_it * y;
      z[k % 2] += residuals[k] * y;
    }
    for (int64_t k = depth; k % 4 != 0; k++) panel[k] = Vector{};
    scratch.z[j] += z[0] + z[1];
  }
}

// Adds a shift to the diagonal, sets the padding of the last slab to the identity and the lower bounds of the pivots.
// Returns the mean diagonal entry.
float bound_pivots(const Scratch& scratch, int64_t size, float shift) {
  Vector trace = {};
  for (int64_t j = 0; j < slabs_of(size); j++) {
    const Integers given = indices() < static_cast<int>(smaller(width, size - j * width));
    const Vector diagonal =
        add_to_diagonal(block(scratch.triangle, j, j), given ? broadcast(shift) : broadcast(1));  // padding is 0
    scratch.bounds[j] = given ? diagonal * pivots::rounding : Vector{};
    trace += given ? diagonal : Vector{};
  }
  return sum(trace) / static_cast<float>(size);
}

// The solution is in scratch.z. Returns false if the system is numerically singular.
bool solve_with(const Row& row, const Vector* prior, const float* noise, float shift, float& mean,
                const Scratch& scratch) {
  const int64_t slabs = slabs_of(row.f);
  for (int64_t i = 0; i < triangle_vectors(slabs); i++) scratch.triangle[i] = prior[i];
  for (int64_t j = 0; j < slabs; j++) {
    scratch.z[j] = load_part(row.pull + j * width, row.f - j * width);
    scratch.zeros[j] = Vector{};
  }
  const auto slab = [&](int64_t j) { return scratch.panel + j * chunk; };
  for (int64_t begin = 0; begin < row.n; begin += chunk) {
    const int64_t depth = smaller(chunk, row.n - begin);
    gather(row, begin, depth, scratch);
    const Product product = {slab, depth};
    for (int64_t i = 0; i < slabs; i++) product.template update_block_row<Update::add>(scratch.triangle, i, slabs);
  }
  mean = bound_pivots(scratch, row.f, shift);
  if (!factorize(scratch.triangle, slabs, scratch.bounds)) return false;
  solve_transposed(scratch.triangle, slabs, scratch.z, scratch.zeros);
  for (int64_t j = 0; noise && j < slabs; j++) scratch.z[j] += load_part(noise + j * width, row.f - j * width);
  solve(scratch.triangle, slabs, scratch.z);
  return true;
}

// Sum of the squared residuals of the row's ratings, given its numbers x padded with zeros.
double squared_errors(const Row& row, const Vector* x) {
  double total = 0;
  for (int64_t begin = 0; begin < row.n; begin += width) {
    const int64_t count = smaller(width, row.n - begin);
    Vector products[width] = {};
    float residuals[width] = {};
    for (int64_t k = 0; k < count; k++) {
      residuals[k] = row.residual(begin + k);
      for (int64_t j = 0; j < slabs_of(row.f); j++) products[k] += row.feature(begin + k, j) * x[j];
    }
    const Vector errors = load(residuals) - sums(products);  // lanes from count on are 0
    total += sum(errors * errors);
  }
  return total;
}

void draw_row(const PosteriorTask& task, int64_t index, const void* stored, const float* noise, void* memory) {
  const Row row(task, index);
  const Vector* prior = static_cast<const Vector*>(stored);
  const Scratch scratch = divide(memory, row.f);
  float mean = 0, ignored = 0;
  bool solved = solve_with(row, prior, noise, 0, mean, scratch);
  if (!(mean > 1e-30f)) mean = 1;
  for (float shift = 0; !solved && (shift = pivots::next_shift(shift, mean)) > 0;) {
    solved = solve_with(row, prior, noise, shift, ignored, scratch);
  }
  float* x = task.solved.row(index);
  for (int64_t i = 0; i < row.f; i++) x[i] = solved ? floats(scratch.z)[i] : __builtin_nanf("");
  if (task.errors) task.errors[index] = solved ? squared_errors(row, scratch.z) : __builtin_nan("");
}

}  // namespace

extern const PosteriorKernels posterior_kernels = {prior_bytes, scratch_bytes, store_prior, draw_row};

}  // namespace sartor::cuda::SARTOR_ISA
