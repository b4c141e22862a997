// Inner loops of nonnegative_update on the CPU, compiled once per instruction set.
#pragma once

#include "factorization/nonnegative/nonnegative.h"

namespace sartor::cuda {

struct NonnegativeKernels {
  int64_t (*scratch_bytes)(int64_t columns);  // per thread
  // Updates one row. `scratch` must be aligned to 64 bytes and need not be initialized.
  void (*update_row)(const NonnegativeTask& task, int64_t row, void* scratch);
};

namespace v3 {
extern const NonnegativeKernels nonnegative_kernels;
}
namespace v4 {
extern const NonnegativeKernels nonnegative_kernels;
}

}  // namespace sartor::cuda
