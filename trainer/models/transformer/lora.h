// Low-rank adaptation (LoRA, Hu et al. 2021): a frozen linear layer learns by the product of two narrow matrices,
//
//   y = x W^T + bias + alpha / rank dropout(x) A^T B^T
//
// which is added to W when training is over.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/transformer/lora_config.h"

namespace sartor::transformer {

struct Adapter {
  at::Tensor a, b;  // (rank, in), (out, rank) of fp32: leaves that require gradients
  double scale;     // alpha / rank
  double dropout;
};

// For weight (out, in). As peft begins: A uniform within 1 / sqrt(in), by libtorch's default CPU generator, B zero.
Adapter new_adapter(const LoraConfig& config, const at::Tensor& weight);

// Adds to y (T, out) what the adapter makes of x (T, in), in y's dtype. Gradients pass.
at::Tensor adapted(const Adapter& adapter, at::Tensor y, const at::Tensor& x, bool trains);

// weight + alpha / rank B A
at::Tensor merged(const Adapter& adapter, const at::Tensor& weight);

}  // namespace sartor::transformer
