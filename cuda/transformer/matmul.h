// Matrix products of training on the CPU. The operands may lie in rows or in columns, so that no product of the forward
// or backward pass needs a transposed copy, and are converted to the type of the products while they are packed.
//
// Operands are packed in blocks: `left` in panels of a few rows, `right` in panels of a few columns. A block has at
// most `matmul_depth` words per row or column, where a word is an fp32 number or a pair of bf16 numbers. An element of
// the result is a sum in ascending order within each block, and blocks are added in ascending order: it does not depend
// on the number of threads or on the other rows and columns.
#pragma once

#include <cstdint>

#include "transformer/store.h"

namespace sartor::cuda {

// Matrix with element (i, j) at data[i * row_stride + j * column_stride]; one of the strides is 1.
struct Operand {
  const void* data;
  int64_t row_stride, column_stride;
  Store store;
};

// c = left right + bias for left (rows, depth) and right (depth, columns)
struct MatmulTask {
  int64_t rows, columns, depth;
  Operand left, right;
  const float* bias = nullptr;  // (columns); may be null
  bool add = false;             // adds to the fp32 values of c
  void* c;                      // (rows, columns)
  int64_t c_stride;
  Store c_store;   // bf16 requires matmul_blocks() = 1
  Store products;  // fp32, or bf16: operands are rounded, sums are in fp32
};

constexpr int64_t matmul_depth = 768;  // words: 96 kB per panel of 32 columns

// Number of blocks into which the depth is divided.
int64_t matmul_blocks(int64_t depth, Store products);

// Bytes of scratch memory, aligned to 64 bytes. All sizes are above 0.
int64_t matmul_scratch(const MatmulTask& task, int threads);

// Requires matmul_kernels(task.products), and sizes above 0.
void matmul(const MatmulTask& task, int threads, void* scratch);

// ---- inner loops, compiled once per instruction set ----

// A block of the result: rows and columns that are complete in the packed operands.
struct MatmulBlock {
  const int32_t *left, *right;  // panels of words
  int64_t rows, columns, words;
  const float* bias;  // of the first column; may be null
  bool add;
  void* c;
  int64_t c_stride;
  Store c_store;
};

struct MatmulKernels {
  int64_t panel_rows, panel_columns;
  // Packs `count` rows of left or columns of right, and `depth` elements of each, into panels; beyond them, panels are
  // filled with zeros. left needs room for one more vector.
  void (*pack_left)(const Operand& left, int64_t count, int64_t depth, int32_t* panels);
  void (*pack_right)(const Operand& right, int64_t count, int64_t depth, int32_t* panels);
  void (*multiply)(const MatmulBlock& block);
};

// For the best instruction set of this CPU; null if it has no bf16 products.
const MatmulKernels* matmul_kernels(Store products);

namespace v3 {
extern const MatmulKernels matmul_fp32;
}
namespace v4 {
extern const MatmulKernels matmul_fp32;
}
namespace v4_bf16 {
extern const MatmulKernels matmul_bf16;
}

}  // namespace sartor::cuda
