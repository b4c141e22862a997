// Activation functions between linear layers.
#pragma once

namespace sartor::transformer {

enum class Activation {
  gelu,       // exact, by the error function
  gelu_tanh,  // its approximation by tanh (gelu_new)
  relu,
  silu,
  tanh
};

}  // namespace sartor::transformer
