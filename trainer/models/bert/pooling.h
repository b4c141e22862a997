// Pooling of a text's hidden states into an embedding.
#pragma once

#include <array>

#include "schema/fields.h"

namespace sartor::bert {

enum class Pooling { mean, cls };  // mean over the text's tokens, or the first token
constexpr auto choices(Pooling) {
  return std::to_array<Choice<Pooling>>({{"mean", Pooling::mean}, {"cls", Pooling::cls}});
}

}  // namespace sartor::bert
