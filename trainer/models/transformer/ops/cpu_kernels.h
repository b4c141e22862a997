// What operations share that have loops of our own on the CPU.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include "transformer/dropout.h"
#include "transformer/store.h"

namespace sartor::transformer {

bool has_kernels(const at::Tensor& x);  // on the CPU, of fp32 or bf16
cuda::Store store_of(const at::Tensor& x);

// A seed for one use of dropout. The only state is that of libtorch's default CPU generator.
cuda::Dropout draw_dropout(double probability);

// Keep a dropout from the forward pass for the backward pass.
void save_dropout(torch::autograd::AutogradContext* ctx, const cuda::Dropout& dropout);
cuda::Dropout saved_dropout(torch::autograd::AutogradContext* ctx);

}  // namespace sartor::transformer
