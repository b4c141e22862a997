// Layer normalisation with the dropout and the residual that stand before it.
#pragma once

#include <ATen/core/Tensor.h>

namespace sartor::transformer {

// Post-norm: layer_norm(dropout(x) + residual) weight + bias, statistics in fp32; (T, H) of fp32 or bf16. A residual
// that is not defined is 0.
at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, const at::Tensor& bias,
                    double eps, double dropout);

struct SumAndNorm {
  at::Tensor sum;         // dropout(x) + residual, which goes past the next block
  at::Tensor normalised;  // what that block reads
};

// Pre-norm: the same, and the sum as well. Gradients pass through both.
SumAndNorm add_and_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const at::Tensor& bias, double eps, double dropout);

}  // namespace sartor::transformer
