// Untrusted text in messages.
#pragma once

#include <string>
#include <string_view>

namespace sartor::datasets {

// `text` on one line that is safe to print: \t, \n, \r, \\ are escaped, other control characters and invalid UTF-8
// become \xHH. Text longer than about `bytes` bytes is cut between characters and ends in "...".
std::string printable(std::string_view text, size_t bytes);

}  // namespace sartor::datasets
