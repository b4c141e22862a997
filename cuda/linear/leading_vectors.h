// Leading singular vectors of a sparse matrix.
#pragma once

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of leading_vectors. All arrays are in the context's memory.
struct LeadingVectorsTask {
  Csr<const float> matrix, transposed;  // (R, C), (C, R)
  int64_t oversampling = 16;            // vectors more than wanted, which speed up convergence
  int64_t iterations = 10;              // >= 1
  int64_t seed = 0;
  float* values;        // (k) singular values, descending
  Rows<float> vectors;  // (C, k) right singular vectors in columns; largest element of each positive
};

// Randomized subspace iteration (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.3): starts from normal random
// vectors, multiplies by A^T A and orthonormalizes `iterations` times, and solves the eigenproblem within the subspace
// that results. Vectors beyond the rank of A are 0, and so are their values. The result depends neither on the number
// of threads nor on anything but the task. The random vectors are the same on every device; products are those of
// sparse_product, gram and add_product, and the problems of size k + oversampling are solved on the host.
//
// Memory: (2 C + R) (k + oversampling) floats, and on a GPU that of gram. Throws std::invalid_argument if sizes differ
// or k is outside 1 to C.
void leading_vectors(Context& context, const LeadingVectorsTask& task);

}  // namespace sartor::cuda
