// Updates one row of a non-negative matrix factorization. Compiled once per instruction set; everything except the
// table at the end is local to this file. The row's loss is the quadratic function
//
//   x^T A x - 2 b^T x,   A = sum y y^T + regularization,   b = sum (rating - mean - g) y
//
// over its ratings, where A has the sum over all columns if pairs without a rating count. Both solvers work on A and b
// alone. A is stored in slabs of `width` columns with all rows, so that, by symmetry, column i is vector i of each
// slab.
#include "factorization/als_triangle.h"
#include "factorization/nonnegative/nonnegative_kernels.h"
#include "factorization/pivots.h"

namespace sartor::cuda::SARTOR_ISA {
namespace {

constexpr int64_t chunk = 128;  // rows of the panel, accumulated in registers before sums are stored

// Scratch memory of one thread.
struct Scratch {
  Vector *x, *b, *gradient;  // gradient: A x - b (projected) or A x (multiplicative)
  Vector* panel;             // a chunk of rows y; slab j starts at j * chunk
  Vector* matrix;            // A; slab j starts at j * slabs * width
};

int64_t scratch_bytes(int64_t columns) {
  const int64_t slabs = slabs_of(columns);
  return (3 + chunk + slabs * width) * slabs * static_cast<int64_t>(sizeof(Vector));
}
Scratch divide(void* memory, int64_t columns) {
  const int64_t slabs = slabs_of(columns);
  Vector* x = static_cast<Vector*>(memory);
  return {x, x + slabs, x + 2 * slabs, x + 3 * slabs, x + (3 + chunk) * slabs};
}

struct Row {
  const NonnegativeTask& task;
  int64_t f;  // numbers of a row
  int64_t n;  // ratings
  int64_t slabs;
  const int32_t* columns;
  const float* values;
  int64_t bias;  // place of the bias, or -1
  float lambda, beta;

  Row(const NonnegativeTask& task, int64_t index)
      : task(task), f(task.fixed.columns), slabs(slabs_of(f)), bias(task.biases ? f - 1 : -1) {
    const int64_t begin = task.ratings.offsets[index];
    n = task.ratings.offsets[index + 1] - begin;
    columns = task.ratings.columns + begin;
    values = task.ratings.values + begin;
    const float weight = pivots::power(static_cast<float>(n), task.params.regularization_power);
    lambda = task.params.regularization * weight;
    beta = task.params.bias_regularization * weight;
  }

  const float* fixed(int64_t k) const { return task.fixed.data + columns[k] * f; }
  float target(int64_t k) const { return values[k] - task.mean - (bias < 0 ? 0 : fixed(k)[bias]); }
  // Slab j of the features of rating k: the fixed row with 1 in place of its bias.
  Vector feature(int64_t k, int64_t j) const {
    const Vector v = load_part(fixed(k) + j * width, f - j * width);
    return bias >= j * width ? (indices() == static_cast<int>(bias - j * width) ? broadcast(1) : v) : v;
  }
};

// Adds the products of the panel's rows to A.
void add_products(const Row& row, int64_t depth, const Scratch& scratch) {
  const int64_t rows = row.slabs * width;
  for (int64_t top = 0; top < rows; top += half) {
    const float* a = floats(scratch.panel + top / width * chunk) + top % width;
    for (int64_t j = 0; j < row.slabs; j++) {
      Vector* target = scratch.matrix + j * rows + top;
      const Vector* b = scratch.panel + j * chunk;
      update_tile<1, Update::add>(&target, a, &b, depth, nullptr);
    }
  }
}

void copy_gram(const Row& row, const Scratch& scratch) {
  const int64_t rows = row.slabs * width;
  for (int64_t i = 0; i < row.f; i++) {
    for (int64_t c = 0; c < row.f; c++) {
      const float value = i <= c ? row.task.gram[i * row.f + c] : row.task.gram[c * row.f + i];
      floats(scratch.matrix + c / width * rows + i)[c % width] = value;
    }
  }
}

// Computes A and b.
void build(const Row& row, const Scratch& scratch) {
  const int64_t rows = row.slabs * width;
  for (int64_t i = 0; i < row.slabs * rows; i++) scratch.matrix[i] = Vector{};
  for (int64_t j = 0; j < row.slabs; j++) scratch.b[j] = Vector{};
  if (row.task.gram) copy_gram(row, scratch);
  for (int64_t begin = 0; begin < row.n; begin += chunk) {
    const int64_t depth = smaller(chunk, row.n - begin);
    for (int64_t j = 0; j < row.slabs; j++) {
      for (int64_t k = 0; k < depth; k++) {
        const Vector y = row.feature(begin + k, j);
        scratch.panel[j * chunk + k] = y;
        scratch.b[j] += row.target(begin + k) * y;
      }
    }
    if (!row.task.gram) add_products(row, depth, scratch);
  }
  for (int64_t i = 0; i < row.f; i++) {
    floats(scratch.matrix + i / width * rows + i)[i % width] += i == row.bias ? row.beta : row.lambda;
  }
}

// to += factor times column i of A.
inline void add_column(const Row& row, const Scratch& scratch, int64_t i, float factor, Vector* to) {
  for (int64_t j = 0; j < row.slabs; j++) to[j] += factor * scratch.matrix[j * row.slabs * width + i];
}

void multiply_by_matrix(const Row& row, const Scratch& scratch, Vector* to) {
  for (int64_t j = 0; j < row.slabs; j++) to[j] = Vector{};
  for (int64_t i = 0; i < row.f; i++) add_column(row, scratch, i, floats(scratch.x)[i], to);
}

void descend(const Row& row, const Scratch& scratch) {
  multiply_by_matrix(row, scratch, scratch.gradient);
  for (int64_t j = 0; j < row.slabs; j++) scratch.gradient[j] -= scratch.b[j];
  for (int64_t step = 0; step < row.task.params.steps; step++) {
    for (int64_t i = 0; i < row.f; i++) {
      const float curvature = floats(scratch.matrix + i / width * row.slabs * width + i)[i % width];
      float& x = floats(scratch.x)[i];
      const float optimum = curvature > 0 ? x - floats(scratch.gradient)[i] / curvature : 0;
      const float next = i == row.bias || !(optimum < 0) ? optimum : 0;
      if (next != x) add_column(row, scratch, i, next - x, scratch.gradient);
      x = next;
    }
  }
}

void multiply(const Row& row, const Scratch& scratch) {
  for (int64_t step = 0; step < row.task.params.steps; step++) {
    multiply_by_matrix(row, scratch, scratch.gradient);
    for (int64_t j = 0; j < row.slabs; j++) {
      const Vector below = scratch.gradient[j], ratio = scratch.b[j] / below;
      scratch.x[j] = below == Vector{} ? Vector{} : scratch.x[j] * ratio;
    }
  }
}

void update_row(const NonnegativeTask& task, int64_t index, void* memory) {
  const Row row(task, index);
  const Scratch scratch = divide(memory, row.f);
  float* x = task.solved.row(index);
  build(row, scratch);
  for (int64_t j = 0; j < row.slabs; j++) scratch.x[j] = load_part(x + j * width, row.f - j * width);
  task.params.solver == NonnegativeSolver::projected ? descend(row, scratch) : multiply(row, scratch);
  for (int64_t i = 0; i < row.f; i++) x[i] = floats(scratch.x)[i];
}

}  // namespace

extern const NonnegativeKernels nonnegative_kernels = {scratch_bytes, update_row};

}  // namespace sartor::cuda::SARTOR_ISA
