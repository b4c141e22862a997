// Eigenvalues and eigenvectors of a small symmetric matrix, on the host.
#pragma once

#include <cstdint>
#include <vector>

namespace sartor::cuda {

struct SymmetricEigen {
  std::vector<double> values;   // (n), descending
  std::vector<double> vectors;  // (n, n), column j belongs to value j
};

// Householder reduction to a tridiagonal matrix and QL steps with implicit shifts (Golub and Van Loan, Matrix
// Computations, 8.3). matrix (n, n) is row-major and symmetric. Throws std::runtime_error if it does not converge, as
// with values that are not finite.
SymmetricEigen symmetric_eigen(std::vector<double> matrix, int64_t n);

}  // namespace sartor::cuda
