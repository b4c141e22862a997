// Linear layers.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor::transformer {

// x w^T + bias for x (T, in), w (out, in) of fp32, bias (out) or undefined. `compute` is fp32 or bf16; with bf16,
// operands are rounded and the result is bf16.
//
// fp32 on AMD CPUs with AVX-512 uses oneDNN, forward and backward: 218 to 230 GFLOP/s per core, compared to 95 with
// libtorch's default (MKL). On Intel CPUs and with AVX2 both are equally fast, and libtorch is used because it
// multiplies transposed operands without copies.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute);

}  // namespace sartor::transformer
