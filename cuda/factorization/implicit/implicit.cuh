// GPU versions of implicit_update and gram, called after their checks.
#pragma once

#include "factorization/implicit/implicit.h"

namespace sartor::cuda {

void implicit_update_gpu(Context& context, const ImplicitTask& task);
void gram_gpu(Context& context, const GramTask& task);

// ---- parts of implicit_update_gpu ----

// Fills in what is to the left of the diagonal of a symmetric matrix.
void mirror_gpu(Context& context, float* gram, int64_t factors);
// products (rows, columns) = v G for columns first to first + columns - 1 of G. v: (rows, factors).
void multiply_gpu(Context& context, const ImplicitTask& task, const float* v, int64_t rows, int64_t first,
                  int64_t columns, float* products);
// Solvers, for a G that is filled in.
void update_by_gradients_gpu(Context& context, const ImplicitTask& task);
void update_by_blocks_gpu(Context& context, const ImplicitTask& task);

}  // namespace sartor::cuda
