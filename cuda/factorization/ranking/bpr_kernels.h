// Inner loops of bpr_epoch on the CPU, compiled once per instruction set.
#pragma once

#include "factorization/ranking/bpr.h"

namespace sartor::cuda {

struct BprKernels {
  void (*train_cell)(const BprTask& task, int64_t row, int64_t column);  // of the grid
};

namespace v3 {
extern const BprKernels bpr_kernels;
}
namespace v4 {
extern const BprKernels bpr_kernels;
}

}  // namespace sartor::cuda
