// Layer normalization fused with the preceding dropout and residual addition.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor::transformer {

// Post-norm: layer_norm(dropout(x) + residual) weight + bias for (T, H) of fp32 or bf16; statistics are in fp32. An
// undefined residual is 0.
at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, const at::Tensor& bias,
                    double eps, double dropout);

struct SumAndNorm {
  at::Tensor sum;         // dropout(x) + residual, the residual stream
  at::Tensor normalised;  // input of the next block
};

// Pre-norm: returns the sum, too. Both outputs are differentiable.
SumAndNorm add_and_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const at::Tensor& bias, double eps, double dropout);

}  // namespace sartor::transformer
