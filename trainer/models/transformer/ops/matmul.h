// Matrix products with our CPU kernels. Operands may be transposed views and of fp32 or bf16: they are transposed and
// rounded while they are packed, so that neither takes a copy in memory.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor::transformer {

// Whether products of `compute` (fp32 or bf16) use matmul() for operands on the device of x. On one core of an AMD CPU
// with AVX-512 it has 2.2 times the speed of libtorch's default (MKL) in fp32. On Intel CPUs libtorch has the faster
// products, in bf16 because of AMX.
bool has_matmul(const at::Tensor& x, at::ScalarType compute);

// left right + bias for left (m, k) and right (k, n), in the dtype `out`. With bf16 products, operands are rounded.
// Sums are in fp32, in an order that does not depend on the number of threads or on other rows. bias (n) is of fp32 or
// undefined. Not differentiable.
at::Tensor matmul(const at::Tensor& left, const at::Tensor& right, at::ScalarType compute, at::ScalarType out,
                  const at::Tensor& bias = {});

// Writes left right to c (m, n) of fp32, or adds it if `add`.
void matmul_into(const at::Tensor& c, const at::Tensor& left, const at::Tensor& right, at::ScalarType compute,
                 bool add);

}  // namespace sartor::transformer
