#include "transformer/matmul.h"

#include <algorithm>
#include <cassert>

#include "core/parallel_for.h"

namespace sartor::cuda {
namespace {

constexpr int64_t right_bytes = 4 << 20;   // packed columns that all threads share, in the L3 cache
constexpr int64_t left_bytes = 384 << 10;  // packed rows of a thread, in its L2 cache
constexpr int64_t word_bytes = 4;

int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
int64_t group_of(Store products) { return products == Store::bf16 ? 2 : 1; }

Operand at(const Operand& of, int64_t row, int64_t column) {
  const int64_t bytes = of.store == Store::bf16 ? 2 : 4;
  return {static_cast<const char*>(of.data) + (row * of.row_stride + column * of.column_stride) * bytes, of.row_stride,
          of.column_stride, of.store};
}

// Sizes of blocks, chosen so that packed operands stay in caches.
struct Blocks {
  const MatmulKernels& kernels;
  int64_t depth, words;   // of a block: elements and words
  int64_t chunk;          // elements of all blocks that are packed together
  int64_t columns, rows;  // multiples of a panel, per packed right operand and per task
  int64_t groups;         // of columns per task

  Blocks(const MatmulTask& task, int threads) : kernels(*matmul_kernels(task.products)) {
    const int64_t group = group_of(task.products);
    depth = std::min(task.depth, matmul_depth * group);
    words = (depth + group - 1) / group;
    const int64_t bytes = words * word_bytes;
    columns = std::max(right_bytes / bytes / kernels.panel_columns, int64_t{1}) * kernels.panel_columns;
    columns = std::min(columns, rounded_up(task.columns, kernels.panel_columns));
    const int64_t most = std::max<int64_t>(1, right_bytes / (bytes * columns));
    chunk = depth * std::min(most, matmul_blocks(task.depth, task.products));
    rows = std::max(left_bytes / bytes / kernels.panel_rows, int64_t{1}) * kernels.panel_rows;
    rows = std::min(rows, rounded_up((task.rows + threads - 1) / threads, kernels.panel_rows));
    const int64_t parts = (task.rows + rows - 1) / rows;
    groups = std::clamp<int64_t>((2 * threads + parts - 1) / parts, 1, columns / kernels.panel_columns);
    if (threads == 1 || parts >= 2 * threads) groups = 1;
  }
  int64_t left_words() const { return rounded_up(rows * words + 16, 16); }
  int64_t right_words() const { return columns * words * (chunk / depth); }
};

// Multiplies the columns first to first + columns - 1 and the depths begin to end - 1, at most one chunk.
class Chunk {
 public:
  Chunk(const MatmulTask& task, const Blocks& blocks, int threads, int32_t* scratch, int64_t first, int64_t begin)
      : task_(task),
        blocks_(blocks),
        threads_(threads),
        left_(scratch + blocks.right_words()),
        right_(scratch),
        first_(first),
        columns_(std::min(blocks.columns, task.columns - first)),
        begin_(begin),
        end_(std::min(task.depth, begin + blocks.chunk)) {}

  void pack_right() const {
    const int64_t panel = blocks_.kernels.panel_columns, panels = (columns_ + panel - 1) / panel;
    parallel_for(threads_, panels, std::max<int64_t>(1, panels / (4 * threads_)), [&](int64_t from, int64_t to, int) {
      each_block([&](int64_t depth, int64_t some, int64_t words, const int32_t* right, bool) {
        blocks_.kernels.pack_right(at(task_.right, depth, first_ + from * panel),
                                   std::min(columns_, to * panel) - from * panel, some,
                                   const_cast<int32_t*>(right) + from * panel * words);
      });
    });
  }

  void multiply() const {
    const int64_t parts = (task_.rows + blocks_.rows - 1) / blocks_.rows;
    parallel_for(threads_, parts * blocks_.groups, 1, [&](int64_t task, int64_t, int thread) {
      multiply_part(task / blocks_.groups * blocks_.rows, task % blocks_.groups, left_ + thread * blocks_.left_words());
    });
  }

 private:
  // Calls use(first depth, number of depths, words, packed columns, whether to add to c) for each block.
  template <class Use> void each_block(const Use& use) const {
    const int64_t group = group_of(task_.products);
    const int32_t* right = right_;
    for (int64_t depth = begin_; depth < end_; depth += blocks_.depth) {
      const int64_t some = std::min(blocks_.depth, end_ - depth), words = (some + group - 1) / group;
      use(depth, some, words, right, task_.add || depth > 0);
      right += blocks_.columns * words;
    }
  }

  void multiply_part(int64_t row, int64_t part, int32_t* left) const {
    const int64_t panel = blocks_.kernels.panel_columns, panels = (columns_ + panel - 1) / panel;
    const int64_t from = panels * part / blocks_.groups * panel,
                  to = std::min(columns_, panels * (part + 1) / blocks_.groups * panel);
    const int64_t rows = std::min(blocks_.rows, task_.rows - row), column = first_ + from;
    const int64_t bytes = task_.c_store == Store::bf16 ? 2 : 4;
    each_block([&](int64_t depth, int64_t some, int64_t words, const int32_t* right, bool add) {
      blocks_.kernels.pack_left(at(task_.left, row, depth), rows, some, left);
      blocks_.kernels.multiply({.left = left,
                                .right = right + from * words,
                                .rows = rows,
                                .columns = to - from,
                                .words = words,
                                .bias = task_.bias ? task_.bias + column : nullptr,
                                .add = add,
                                .c = static_cast<char*>(task_.c) + (row * task_.c_stride + column) * bytes,
                                .c_stride = task_.c_stride,
                                .c_store = task_.c_store});
    });
  }

  const MatmulTask& task_;
  const Blocks& blocks_;
  int threads_;
  int32_t *left_, *right_;
  int64_t first_, columns_, begin_, end_;
};

}  // namespace

int64_t matmul_blocks(int64_t depth, Store products) {
  const int64_t most = matmul_depth * group_of(products);
  return std::max<int64_t>(1, (depth + most - 1) / most);
}

int64_t matmul_scratch(const MatmulTask& task, int threads) {
  const Blocks blocks(task, threads);
  return (blocks.right_words() + threads * blocks.left_words()) * word_bytes;
}

void matmul(const MatmulTask& task, int threads, void* scratch) {
  assert(task.rows > 0 && task.columns > 0 && task.depth > 0);
  assert(task.c_store == Store::fp32 || (!task.add && matmul_blocks(task.depth, task.products) == 1));
  const Blocks blocks(task, threads);
  for (int64_t first = 0; first < task.columns; first += blocks.columns) {
    for (int64_t begin = 0; begin < task.depth; begin += blocks.chunk) {
      const Chunk chunk(task, blocks, threads, static_cast<int32_t*>(scratch), first, begin);
      chunk.pack_right();
      chunk.multiply();
    }
  }
}

}  // namespace sartor::cuda
