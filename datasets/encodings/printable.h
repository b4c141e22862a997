// Text of files in messages.
#pragma once

#include <string>
#include <string_view>

namespace sartor::datasets {

// `text` in one line that any terminal shows: \t, \n, \r, \\, and \xHH for other control bytes and those that are not
// UTF-8. Longer text is cut after about `bytes` bytes, not within a character, and ends in "...".
std::string printable(std::string_view text, size_t bytes);

}  // namespace sartor::datasets
