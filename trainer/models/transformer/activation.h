// Activation functions.
#pragma once

#include <array>
#include <string_view>
#include <utility>

namespace sartor::transformer {

enum class Activation {
  gelu,       // exact, with the error function
  gelu_tanh,  // tanh approximation (gelu_new)
  relu,
  silu,
  tanh
};

// Names in config.json of transformers.
constexpr auto activation_names = std::to_array<std::pair<std::string_view, Activation>>({
    {"gelu", Activation::gelu},
    {"gelu_python", Activation::gelu},
    {"gelu_new", Activation::gelu_tanh},
    {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"gelu_fast", Activation::gelu_tanh},
    {"gelu_accurate", Activation::gelu_tanh},
    {"relu", Activation::relu},
    {"silu", Activation::silu},
    {"swish", Activation::silu},
    {"tanh", Activation::tanh},
});

}  // namespace sartor::transformer
