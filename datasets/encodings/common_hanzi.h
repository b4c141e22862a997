// The 1,000 most frequent Chinese characters, which make up about 90% of a text.
#pragma once

#include <string_view>

namespace sartor::datasets {

extern const std::u32string_view common_hanzi;  // sorted by code point

}  // namespace sartor::datasets
