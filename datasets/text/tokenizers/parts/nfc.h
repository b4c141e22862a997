// Unicode normalization form C with the tables of Hugging Face's library: the normalizer NFC of tokenizer.json.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/tokenizers/parts/character_map.h"

namespace sartor::text {

// Whether nfc() certainly leaves a text unchanged: no character of it could combine with the one before it, change its
// place, or change alone. Fast for ASCII and Chinese. `text` is valid UTF-8.
bool is_surely_nfc(std::string_view text);

// `text` is valid UTF-8; `first` is the index of its first character. A composed character has the index that
// Hugging Face's library gives it: usually that of the first of the characters that it is composed of.
NormalizedText nfc(std::string_view text, uint32_t first);

}  // namespace sartor::text
