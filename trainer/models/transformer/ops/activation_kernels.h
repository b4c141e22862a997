// Activations with our CPU kernels.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "models/transformer/activation.h"
#include "transformer/rows_kernels.h"

namespace sartor::transformer {

// The kernel for an activation, of x if given; nullopt if there is none.
std::optional<cuda::Curve> curve_of(Activation kind);
std::optional<cuda::Curve> curve_of(const at::Tensor& x, Activation kind);

// curve(x) * up, of the shape and dtype of x; curve(x) if `up` is undefined. Differentiable.
at::Tensor activate(const at::Tensor& x, const at::Tensor& up, cuda::Curve curve);

}  // namespace sartor::transformer
