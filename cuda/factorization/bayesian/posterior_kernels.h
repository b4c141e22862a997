// Inner loops of draw_posterior on the CPU, compiled once per instruction set.
#pragma once

#include "factorization/bayesian/posterior.h"

namespace sartor::cuda {

struct PosteriorKernels {
  int64_t (*prior_bytes)(int64_t columns);    // of a precision as written by store_prior
  int64_t (*scratch_bytes)(int64_t columns);  // per thread
  void (*store_prior)(const PosteriorTask& task, void* prior);
  // Solves one row. noise (F): standard normal numbers, or null for the mean. prior and scratch must be aligned to 64
  // bytes; scratch need not be initialized.
  void (*draw_row)(const PosteriorTask& task, int64_t row, const void* prior, const float* noise, void* scratch);
};

namespace v3 {
extern const PosteriorKernels posterior_kernels;
}
namespace v4 {
extern const PosteriorKernels posterior_kernels;
}

}  // namespace sartor::cuda
