// Inverse of a symmetric positive definite matrix.
#pragma once

#include "core/context.h"
#include "core/peers.h"
#include "core/views.h"

namespace sartor::cuda {

// Arguments of invert_spd. The matrix is in the context's memory.
struct InvertSpdTask {
  Rows<float> matrix;      // (n, n); only its elements on and below the diagonal are read. Overwritten by the inverse
  Peers* peers = nullptr;  // with the same matrix; null: this process alone
};

// Inverts the matrix in place by blocked symmetric Gauss-Jordan elimination: n^3 / 2 multiplications, as for a Cholesky
// factorization and the inverse from it, almost all of them in matrix products. A block of columns K with the pivot
// block D = A_KK is eliminated by
//
//   A_ij -= A_iK D^-1 A_Kj,   A_iK = A_iK D^-1,   A_KK = -D^-1
//
// after which the columns that are left hold the Schur complement of a Cholesky factorization, and at the end -A^-1.
// Each of several peers computes every so many-th strip of 1,024 rows; they exchange the columns of a block before it
// is eliminated, and the strips at the end, n^2 floats each. Scratch memory on the CPU: about 1,100 n floats, or 1,600
// n with peers. The result does not depend on the number of threads and peers. Runs on CPUs only for now. Throws
// std::invalid_argument if the context is on a GPU, the matrix is not square, or it is not numerically positive
// definite.
void invert_spd(Context& context, const InvertSpdTask& task);

}  // namespace sartor::cuda
