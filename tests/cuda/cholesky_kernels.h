// Runs the device functions of factorization/cholesky.cuh on one matrix.
#pragma once

#include <vector>

namespace sartor::cuda {

struct CholeskySystem {
  int size = 0;
  std::vector<float> tiles, bounds, z, l, x;
  bool positive = false;  // whether all threads got true
};

// Replaces tiles, z and l by what factorize() returns and x by U^-1 x. threads: 128 or 256.
void factorize_on_gpu(CholeskySystem& system, int threads);

}  // namespace sartor::cuda
