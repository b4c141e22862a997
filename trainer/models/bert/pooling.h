// How a text's hidden states become its embedding.
#pragma once

#include <array>

#include "schema/fields.h"

namespace sartor::bert {

enum class Pooling { mean, cls };  // of the last hidden states: over a text's tokens, or that of its first
constexpr auto choices(Pooling) {
  return std::to_array<Choice<Pooling>>({{"mean", Pooling::mean}, {"cls", Pooling::cls}});
}

}  // namespace sartor::bert
