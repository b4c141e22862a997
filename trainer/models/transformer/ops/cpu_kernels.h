// Helpers of operations with CPU kernels of our own.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include "transformer/dropout.h"
#include "transformer/store.h"

namespace sartor::transformer {

bool has_kernels(const at::Tensor& x);  // whether x is on the CPU and of fp32 or bf16
cuda::Store store_of(const at::Tensor& x);

// Draws a seed from libtorch's default CPU generator; there is no other random state.
cuda::Dropout draw_dropout(double probability);

// Save dropout parameters in the forward pass and restore them in the backward pass.
void save_dropout(torch::autograd::AutogradContext* ctx, const cuda::Dropout& dropout);
cuda::Dropout saved_dropout(torch::autograd::AutogradContext* ctx);

}  // namespace sartor::transformer
