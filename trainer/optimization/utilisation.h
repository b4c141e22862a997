// Matrix product throughput of this machine, the reference for model FLOP utilization.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor {

// FLOP/s of a product of square matrices of `dtype` (fp32, bf16) on `device` with libtorch's current number of threads:
// the best of a few runs, for fp32 on the CPU of libtorch's default backend and oneDNN. A multiply-add counts as two
// operations. Takes about 0.2 s. This is a measured, not a theoretical peak, and lower on a busy machine.
double product_peak(at::Device device, at::ScalarType dtype);

}  // namespace sartor
