#include "models/transformer/ops/elementwise.h"

#include <ATen/ops/dropout.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/native_dropout.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>

#include "models/transformer/ops/activation_kernels.h"

namespace sartor::transformer {

at::Tensor dropout(const at::Tensor& x, double probability) {
  if (probability == 0) return x;
  return x.is_cpu() ? at::dropout(x, probability, true) : std::get<0>(at::native_dropout(x, probability, true));
}

at::Tensor activation(const at::Tensor& x, Activation kind) {
  const auto curve = kind == Activation::gelu ? std::nullopt : curve_of(x, kind);
  if (curve) return activate(x, {}, *curve);
  switch (kind) {
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::relu:
      return at::relu(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::tanh:
      return at::tanh(x);
  }
  return x;
}

}  // namespace sartor::transformer
