// oneDNN's linear layer on the CPU, which libtorch carries but has no function for.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace sartor {

// act(x w^T + bias) for x (T, in) and weight (out, in) or its oneDNN layout, all fp32 or all bf16. `activation` is
// none, relu or gelu, `algorithm` of the latter none or tanh. With AVX2 it keeps values below the end of the
// stack: no signal handler may run in its thread (runtime/signals.cpp).
at::Tensor onednn_linear(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias = {},
                         const char* activation = "none", const char* algorithm = "");

// A weight (out, in) laid out once for many calls; opaque to all else.
at::Tensor onednn_weight(const at::Tensor& weight);

}  // namespace sartor
