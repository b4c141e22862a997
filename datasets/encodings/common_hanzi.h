// The thousand Chinese characters that are most frequent, nine in ten of those in a text.
#pragma once

#include <string_view>

namespace sartor::datasets {

extern const std::u32string_view common_hanzi;  // ascending

}  // namespace sartor::datasets
