// How fast this machine multiplies matrices: what a training's rate is compared with.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor {

// FLOP/s of a product of square matrices of `dtype` (fp32, bf16) on `device`, with libtorch's threads as they are: the
// best of a few tries, by libtorch's own road and for fp32 on the CPU by oneDNN's too. A multiplication and an addition
// count as two. Takes about 0.2 s. It is no theoretical peak: nothing that a model does is faster, and a busy machine
// shows less.
double product_peak(at::Device device, at::ScalarType dtype);

}  // namespace sartor
