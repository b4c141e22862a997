// Linear layers.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/transformer/ops/kept_cast.h"

namespace sartor::transformer {

// Weights and biases of linear layers in the dtype of the products, on accelerators.
struct LinearCasts {
  KeptCast weight, bias;
};

// x w^T + bias for x (T, in) of fp32 or bf16, w (out, in) of fp32, bias (out) or undefined. `compute` is fp32 or bf16;
// with bf16, operands are rounded and the result is bf16. Uses matmul() where it is faster than libtorch. `casts` are
// those of this layer; without them, accelerators round its weight in each call.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute,
                  const LinearCasts* casts = nullptr);

// The outputs of several layers for the same x, side by side, by one product. For accelerators. `biases` are empty or
// as many as the weights.
at::Tensor joint_linear(const at::Tensor& x, at::TensorList weights, at::TensorList biases, at::ScalarType compute,
                        const LinearCasts& casts);

}  // namespace sartor::transformer
