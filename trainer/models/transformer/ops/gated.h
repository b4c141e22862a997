// Gated feed-forward layers (Shazeer 2020).
#pragma once

#include <ATen/core/Tensor.h>

#include "models/transformer/activation.h"

namespace sartor::transformer {

// act(gate) * up for tensors of the same shape and dtype, fp32 or bf16; SwiGLU with Activation::silu. The arithmetic is
// in fp32; on accelerators act(gate) is rounded to the dtype of the tensors, as in transformers. Differentiable.
at::Tensor gated(const at::Tensor& gate, const at::Tensor& up, Activation kind);

}  // namespace sartor::transformer
