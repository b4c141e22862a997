// oneDNN's linear layer on the CPU, which libtorch contains but does not expose in its C++ interface.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace sartor {

// act(x w^T + bias) for x (T, in) and weight (out, in), plain or from onednn_weight(), all fp32 or all bf16.
// `activation` is none, relu or gelu; `algorithm` of gelu is none or tanh. With AVX2 it uses memory below the stack
// pointer: no signal handler may run in its thread (runtime/signals.cpp).
at::Tensor onednn_linear(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias = {},
                         const char* activation = "none", const char* algorithm = "");

// Packs a weight (out, in) for repeated use in onednn_linear(); opaque to other functions.
at::Tensor onednn_weight(const at::Tensor& weight);

}  // namespace sartor
