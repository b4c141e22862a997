// Layer and RMS normalization fused with the preceding dropout and residual addition.
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

// x / sqrt(mean(x^2) + eps) weight for each row of (T, H) of fp32 or bf16 (Zhang and Sennrich 2019); statistics are in
// fp32. As in LlamaRMSNorm of transformers, the normalized row is rounded to the dtype of x before it is multiplied by
// the weight (H) of fp32; accelerators round only the product. For normalization per head, view (T, heads * d) as (T *
// heads, d).
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

// The same for the sum, as add_and_norm().
SumAndNorm add_and_rms_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, double eps,
                            double dropout);

}  // namespace sartor::transformer
