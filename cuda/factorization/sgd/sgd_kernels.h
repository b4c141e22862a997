// Inner loop of sgd_rounds on the CPU, compiled once per instruction set.
#pragma once

#include "factorization/sgd/sgd.h"

namespace sartor::cuda {

struct SgdKernels {
  // Trains on ratings begin to end - 1 of the task's grid and returns the sum of their squared errors.
  double (*train)(const SgdTask& task, int64_t begin, int64_t end);
};

namespace v3 {
extern const SgdKernels sgd_kernels;
}
namespace v4 {
extern const SgdKernels sgd_kernels;
}

}  // namespace sartor::cuda
