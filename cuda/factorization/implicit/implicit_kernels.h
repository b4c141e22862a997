// Inner loops of implicit_update on the CPU, compiled once per instruction set.
#pragma once

#include "factorization/implicit/implicit.h"

namespace sartor::cuda {

// Factors first to first + size - 1 of a row.
struct ImplicitBlock {
  int64_t first, size;
  const float* gram;   // a0 G of the block, as written by store_gram
  float* predictions;  // <x, y> of the row's entries
};

// Entries whose features will be read after those of a batch of rows.
struct UpcomingEntries {
  const int32_t *next, *end;
  int64_t column = 0;
};

// In all functions, row is the index of a row of the task with entries, and A its matrix.
struct ImplicitKernels {
  // ---- conjugate gradients ----
  // Completes product = A v, and prefetches features of `next` meanwhile. On entry, product is G v. Without `next`,
  // completes A v - sum b y.
  void (*complete)(const ImplicitTask& task, int64_t row, const float* v, UpcomingEntries* next, float* product);
  // Starts the search along direction = -gradient. Returns |gradient|^2.
  float (*start)(const float* gradient, int64_t factors, float* direction);
  // One step, where product = A direction. Updates x, gradient and direction. Takes and returns |gradient|^2.
  float (*step)(const float* product, float squares, int64_t factors, float* x, float* gradient, float* direction);

  // ---- blocks ----
  int64_t (*gram_floats)(int64_t size);    // floats of the Gram matrix of a block
  int64_t (*scratch_bytes)(int64_t size);  // for solve_block
  void (*store_gram)(const ImplicitTask& task, int64_t first, int64_t size, float* to);
  // Computes <x, y> of the row's entries.
  void (*predict)(const ImplicitTask& task, int64_t row, float* predictions);
  // Replaces the block's factors by those that minimize the loss for the others given. gradient: of G x, the block's
  // elements. Updates the predictions. `scratch` must be aligned to 64 bytes and need not be initialized.
  void (*solve_block)(const ImplicitTask& task, int64_t row, const ImplicitBlock& block, const float* gradient,
                      void* scratch);
};

namespace v3 {
extern const ImplicitKernels implicit_kernels;
}
namespace v4 {
extern const ImplicitKernels implicit_kernels;
}

}  // namespace sartor::cuda
