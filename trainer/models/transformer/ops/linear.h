// Linear layers.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor::transformer {

// x w^T + bias for x (T, in), w (out, in) of fp32, bias (out). `compute` is fp32 or bf16; in bf16 the operands are
// rounded and the result is bf16.
//
// fp32 on AMD's AVX-512 goes through oneDNN, forward and both products of the backward: libtorch's own road (MKL)
// reaches 95 GFLOP/s a core there, oneDNN 218 to 230. On Intel, and with AVX2 alone, they are alike as products, and
// libtorch's stays, which multiplies transposed operands as they lie.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute);

}  // namespace sartor::transformer
