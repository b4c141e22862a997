// Elementwise operations: dropout and activations.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/transformer/activation.h"

namespace sartor::transformer {

at::Tensor dropout(const at::Tensor& x, double probability);

at::Tensor activation(const at::Tensor& x, Activation kind);

}  // namespace sartor::transformer
