// Linear layers.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor::transformer {

// x w^T + bias for x (T, in) of fp32 or bf16, w (out, in) of fp32, bias (out) or undefined. `compute` is fp32 or bf16;
// with bf16, operands are rounded and the result is bf16. Uses matmul() where it is faster than libtorch.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute);

}  // namespace sartor::transformer
