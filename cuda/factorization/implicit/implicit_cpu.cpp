#include "factorization/implicit/implicit_cpu.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/cpu_backend.h"
#include "core/parallel_for.h"
#include "factorization/implicit/implicit_kernels.h"
#include "transformer/matmul.h"

namespace sartor::cuda {
namespace {

constexpr int64_t batch_rows = 48;  // rows that are multiplied by G together, a multiple of the panels of matmul
constexpr int64_t batch_bytes = 320 << 10;  // of their features, which should stay in the L2 cache

int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

Operand at(const float* data, int64_t stride) { return {data, stride, 1, Store::fp32}; }

// Columns of G, packed for products with many rows.
class GramColumns {
 public:
  static int64_t floats(const MatmulKernels& kernels, int64_t factors, int64_t columns) {
    return factors * rounded_up(columns, kernels.panel_columns);
  }
  static int64_t left_floats(const MatmulKernels& kernels, int64_t factors) {
    return rounded_up(batch_rows, kernels.panel_rows) * std::min(factors, matmul_depth) + 16;
  }

  GramColumns(const MatmulKernels& kernels, const ImplicitTask& task, int64_t first, int64_t columns, float* memory)
      : kernels_(kernels), factors_(task.fixed.columns), first_(first), columns_(columns), packed_(memory) {
    each_depth([&](int64_t depth, int64_t some, float* packed) {
      kernels.pack_right(at(task.gram + depth * factors_ + first, factors_), columns, some, words(packed));
    });
  }

  int64_t first() const { return first_; }
  int64_t columns() const { return columns_; }

  // products (rows, columns) = v (rows, factors) G
  void multiply(const float* v, int64_t rows, float* left, float* products) const {
    each_depth([&](int64_t depth, int64_t some, float* packed) {
      kernels_.pack_left(at(v + depth, factors_), rows, some, words(left));
      kernels_.multiply({.left = words(left),
                         .right = words(packed),
                         .rows = rows,
                         .columns = columns_,
                         .words = some,
                         .bias = nullptr,
                         .add = depth > 0,
                         .c = products,
                         .c_stride = columns_,
                         .c_store = Store::fp32});
    });
  }

 private:
  static int32_t* words(float* p) { return reinterpret_cast<int32_t*>(p); }

  template <class Use> void each_depth(const Use& use) const {
    float* packed = packed_;
    for (int64_t depth = 0; depth < factors_; depth += matmul_depth) {
      const int64_t some = std::min(matmul_depth, factors_ - depth);
      use(depth, some, packed);
      packed += rounded_up(columns_, kernels_.panel_columns) * some;
    }
  }

  const MatmulKernels& kernels_;
  int64_t factors_, first_, columns_;
  float* packed_;
};

// Divides the context's scratch memory.
class Divider {
 public:
  explicit Divider(char* memory) : next_(memory) {}
  static int64_t padded(int64_t floats) { return rounded_up(floats, 16); }
  float* take(int64_t floats) {
    char* taken = next_;
    next_ += padded(floats) * static_cast<int64_t>(sizeof(float));
    return reinterpret_cast<float*>(taken);
  }

 private:
  char* next_;
};

struct Solver {
  const ImplicitTask& task;
  const MatmulKernels& matmul;
  const ImplicitKernels& kernels;

  int64_t factors() const { return task.fixed.columns; }
  int64_t entries(int64_t row) const { return task.entries.offsets[row + 1] - task.entries.offsets[row]; }

  // Rows without entries are solved: they become 0.
  bool solved(int64_t row) const {
    if (entries(row) > 0) return false;
    std::fill_n(task.solved.row(row), factors(), 0.0f);
    return true;
  }
  // Entries after `row`, as many as those of a batch.
  UpcomingEntries after(int64_t row) const {
    const int64_t begin = task.entries.offsets[row], all = task.entries.offsets[task.entries.rows];
    return {task.entries.columns + begin, task.entries.columns + std::min(begin + most_entries(), all)};
  }
  // Entries of a batch: their features fit in the cache, but with many factors, when products with G cost more than
  // those with the features, there are enough rows for them.
  int64_t most_entries() const { return std::max(factors(), batch_bytes / (4 * factors())); }
};

// Conjugate gradients for a batch of rows, so that products with G are products of matrices.
class GradientBatch : Solver {
 public:
  static int64_t floats(const Solver& solver) {
    return 3 * Divider::padded(batch_rows * solver.factors()) +
           Divider::padded(GramColumns::left_floats(solver.matmul, solver.factors()));
  }

  GradientBatch(const Solver& solver, const GramColumns& gram, float* memory) : Solver(solver), gram_(gram) {
    Divider divider(reinterpret_cast<char*>(memory));
    for (float** part : {&product_, &gradient_, &direction_}) *part = divider.take(batch_rows * factors());
    left_ = divider.take(GramColumns::left_floats(matmul, factors()));
  }

  void solve(int64_t begin, int64_t end) {
    const int64_t f = factors();
    float squares[batch_rows] = {};
    bool done[batch_rows];
    for (int64_t row = begin; row < end; row++) done[row - begin] = solved(row);
    gram_.multiply(task.solved.row(begin), end - begin, left_, gradient_);
    for (int64_t row = begin; row < end; row++) {
      const int64_t at = (row - begin) * f;
      if (!done[row - begin]) kernels.complete(task, row, task.solved.row(row), nullptr, gradient_ + at);
      squares[row - begin] = done[row - begin] ? 0 : kernels.start(gradient_ + at, f, direction_ + at);
      if (done[row - begin]) std::fill_n(direction_ + at, f, 0.0f);
    }
    UpcomingEntries next = after(end);
    for (int64_t step = 0; step < task.params.cg_steps; step++) {
      gram_.multiply(direction_, end - begin, left_, product_);
      for (int64_t row = begin; row < end; row++) {
        const int64_t at = (row - begin) * f;
        float& rest = squares[row - begin];
        if (rest == 0) continue;
        kernels.complete(task, row, direction_ + at, &next, product_ + at);
        rest = kernels.step(product_ + at, rest, f, task.solved.row(row), gradient_ + at, direction_ + at);
      }
    }
  }

 private:
  const GramColumns& gram_;
  float *product_, *gradient_, *direction_, *left_;
};

// Blocks of factors, one after the other, for a batch of rows. cholesky: one block, from zero.
class BlockBatch : Solver {
 public:
  // Part of G for one block. For cholesky, no product with G is needed.
  struct Part {
    ImplicitBlock block;
    std::optional<GramColumns> columns;
  };

  static int64_t size(const ImplicitTask& task) {
    const bool exact = task.params.solver == ImplicitSolver::cholesky;
    return exact ? task.fixed.columns : std::min(task.params.block, task.fixed.columns);
  }
  // Entries of a batch: many short rows or one of any length.
  static int64_t most_entries(const Solver& solver) {
    int64_t most = solver.most_entries();
    for (int64_t row = 0; row < solver.task.entries.rows; row++) most = std::max(most, solver.entries(row));
    return most;
  }
  static int64_t floats(const Solver& solver) {
    const int64_t s = size(solver.task);
    return Divider::padded(batch_rows * s) + Divider::padded(most_entries(solver)) +
           Divider::padded(GramColumns::left_floats(solver.matmul, solver.factors())) +
           solver.kernels.scratch_bytes(s) / 4;
  }

  BlockBatch(const Solver& solver, const std::vector<Part>& parts, float* memory) : Solver(solver), parts_(parts) {
    Divider divider(reinterpret_cast<char*>(memory));
    gradient_ = divider.take(batch_rows * size(task));
    predictions_ = divider.take(most_entries(solver));
    left_ = divider.take(GramColumns::left_floats(matmul, factors()));
    scratch_ = divider.take(kernels.scratch_bytes(size(task)) / 4);
  }

  void solve(int64_t begin, int64_t end) {
    const bool from_zero = task.params.solver == ImplicitSolver::cholesky;
    const auto predictions = [&](int64_t row) {
      return predictions_ + task.entries.offsets[row] - task.entries.offsets[begin];
    };
    for (int64_t row = begin; row < end; row++) {
      if (solved(row)) continue;
      if (from_zero) {
        std::fill_n(task.solved.row(row), factors(), 0.0f);
        std::fill_n(predictions(row), entries(row), 0.0f);
      } else {
        kernels.predict(task, row, predictions(row));
      }
    }
    for (const auto& [block, columns] : parts_) {
      if (columns) {
        columns->multiply(task.solved.row(begin), end - begin, left_, gradient_);
      } else {
        std::fill_n(gradient_, (end - begin) * block.size, 0.0f);
      }
      for (int64_t row = begin; row < end; row++) {
        if (entries(row) == 0) continue;
        ImplicitBlock own = block;
        own.predictions = predictions(row);
        kernels.solve_block(task, row, own, gradient_ + (row - begin) * block.size, scratch_);
      }
    }
  }

 private:
  const std::vector<Part>& parts_;
  float *gradient_, *predictions_, *left_, *scratch_;
};

// Calls solve(begin, end) of the thread's batch for rows that together have few enough entries.
template <class Batch> void solve_batches(int threads, const Solver& solver, std::vector<Batch>& batches) {
  const int64_t rows = solver.task.entries.rows, most = solver.most_entries();
  const int64_t grain = std::clamp<int64_t>(rows / (4 * threads), 1, 4 * batch_rows);
  parallel_for(threads, rows, grain, [&](int64_t begin, int64_t end, int thread) {
    while (begin < end) {
      const int64_t first = begin++;
      int64_t entries = solver.entries(first);
      while (begin < std::min(end, first + batch_rows) && entries + solver.entries(begin) <= most) {
        entries += solver.entries(begin++);
      }
      batches[thread].solve(first, begin);
    }
  });
}

void mirror(float* gram, int64_t factors) {
  for (int64_t row = 1; row < factors; row++) {
    for (int64_t column = 0; column < row; column++) gram[row * factors + column] = gram[column * factors + row];
  }
}

void update_by_gradients(Context& context, const Solver& solver) {
  const int threads = cpu(context).threads;
  const int64_t f = solver.factors(), shared = Divider::padded(GramColumns::floats(solver.matmul, f, f));
  const int64_t own = GradientBatch::floats(solver);
  Divider divider(static_cast<char*>(context.scratch((shared + threads * own) * sizeof(float))));
  const GramColumns gram(solver.matmul, solver.task, 0, f, divider.take(shared));
  std::vector<GradientBatch> batches;
  for (int thread = 0; thread < threads; thread++) batches.emplace_back(solver, gram, divider.take(own));
  solve_batches(threads, solver, batches);
}

void update_by_blocks(Context& context, const Solver& solver) {
  const int threads = cpu(context).threads;
  const int64_t f = solver.factors(), size = BlockBatch::size(solver.task), own = BlockBatch::floats(solver);
  const bool exact = solver.task.params.solver == ImplicitSolver::cholesky;
  int64_t shared = 0;
  for (int64_t first = 0; first < f; first += size) {
    const int64_t columns = std::min(size, f - first);
    shared += Divider::padded(solver.kernels.gram_floats(columns));
    if (!exact) shared += Divider::padded(GramColumns::floats(solver.matmul, f, columns));
  }
  Divider divider(static_cast<char*>(context.scratch((shared + threads * own) * sizeof(float))));
  std::vector<BlockBatch::Part> parts;
  for (int64_t first = 0; first < f; first += size) {
    const int64_t columns = std::min(size, f - first);
    float* gram = divider.take(solver.kernels.gram_floats(columns));
    solver.kernels.store_gram(solver.task, first, columns, gram);
    BlockBatch::Part& part = parts.emplace_back(BlockBatch::Part{{first, columns, gram, nullptr}, {}});
    if (exact) continue;
    part.columns.emplace(solver.matmul, solver.task, first, columns,
                         divider.take(GramColumns::floats(solver.matmul, f, columns)));
  }
  std::vector<BlockBatch> batches;
  for (int thread = 0; thread < threads; thread++) batches.emplace_back(solver, parts, divider.take(own));
  solve_batches(threads, solver, batches);
}

}  // namespace

void implicit_update_cpu(Context& context, const ImplicitTask& task) {
  const Isa isa = cpu(context).isa;
  const Solver solver = {task, best_of(isa, v3::matmul_fp32, v4::matmul_fp32),
                         best_of(isa, v3::implicit_kernels, v4::implicit_kernels)};
  mirror(task.gram, task.fixed.columns);
  if (task.params.solver == ImplicitSolver::cg) {
    update_by_gradients(context, solver);
  } else {
    update_by_blocks(context, solver);
  }
}

// One strip of tiles at a time, so that little is computed to the left of the diagonal.
void gram_cpu(Context& context, const GramTask& task) {
  const int64_t f = task.rows.columns;
  const int threads = cpu(context).threads;
  for (int64_t first = task.first; first < task.last; first += gram_tile) {
    float* to = task.gram + first * f + first;
    const int64_t rows = std::min(gram_tile, task.last - first);
    if (task.rows.rows == 0) {
      for (int64_t row = 0; row < rows; row++) std::fill_n(to + row * f, f - first, 0.0f);
      continue;
    }
    const MatmulTask product = {.rows = rows,
                                .columns = f - first,
                                .depth = task.rows.rows,
                                .left = {task.rows.data + first, 1, f, Store::fp32},
                                .right = {task.rows.data + first, f, 1, Store::fp32},
                                .c = to,
                                .c_stride = f,
                                .c_store = Store::fp32,
                                .products = Store::fp32};
    matmul(product, threads, context.scratch(matmul_scratch(product, threads)));
  }
}

}  // namespace sartor::cuda
