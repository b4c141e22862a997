// Numbers of bytes that tokens stand for.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizers/tokenizer.h"

namespace sartor::text {

// Number of bytes of `text`, which is valid UTF-8, up to the end of each of its first `tokens` tokens, or of all if
// there are fewer; without special tokens of the template. Text between two tokens counts for the second, text after
// the last token of the text for that one. A token of byte-level BPE may end within a character.
std::vector<int64_t> byte_ends(const Tokenizer& tokenizer, std::string_view text, int64_t tokens);

}  // namespace sartor::text
