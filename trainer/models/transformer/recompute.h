// Gradient checkpointing (Chen et al. 2016): what a part of a model computes is forgotten, and computed once more when
// its gradient is wanted.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace sartor::transformer {

// part(x), of which only x is kept for the backward pass. There the part runs again, with the random numbers that it
// drew the first time from libtorch's default generators of the CPU and of x's device; they are left as they were
// found. `parameters`: all tensors besides x through which gradients pass. What the part refers to must live,
// unchanged, until then.
at::Tensor recomputed(std::function<at::Tensor(const at::Tensor&)> part, const at::Tensor& x,
                      at::TensorList parameters);

}  // namespace sartor::transformer
