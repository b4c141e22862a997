// Runs the device functions of factorization/systems/cholesky.cuh and cholesky_large.cuh on one matrix.
#pragma once

#include <vector>

namespace sartor::cuda {

struct CholeskySystem {
  int size = 0;
  std::vector<float> tiles, bounds, z, l, x;
  bool positive = false;  // whether all threads got true
};

struct CholeskyVariant {
  int threads = 256;      // of the block, 128 or 256
  bool in_shared = true;  // the matrix is in shared memory, for up to 128 unknowns; otherwise in device memory
};

// Replaces tiles, z and l by what the factorization returns and x by U^-1 x.
void factorize_on_gpu(CholeskySystem& system, CholeskyVariant variant);

}  // namespace sartor::cuda
