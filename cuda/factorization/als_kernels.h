// Inner loops of als_update on the CPU, compiled once per instruction set.
#pragma once

#include "factorization/als.h"

namespace sartor::cuda {

struct AlsKernels {
  int64_t (*scratch_bytes)(int64_t factors);  // per thread
  // Solves one row. `scratch` must be aligned to 64 bytes and need not be initialized.
  void (*solve_row)(const AlsTask& task, int64_t row, void* scratch);
};

namespace v3 {
extern const AlsKernels als_kernels;
}
namespace v4 {
extern const AlsKernels als_kernels;
}

}  // namespace sartor::cuda
