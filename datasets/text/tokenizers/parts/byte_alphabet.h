// GPT-2's alphabet, in which byte-level vocabularies write the 256 bytes as printable characters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sartor::text {

// The character of a byte, one or two bytes of UTF-8: the byte's own code point if that is printable in Latin-1,
// otherwise U+0100 and following in ascending order of the bytes. A space is "Ġ".
std::string_view byte_character(uint8_t byte);

// The bytes that the characters of a token stand for; nullopt if a character is not in the alphabet. `token` is valid
// UTF-8.
std::optional<std::string> bytes_of(std::string_view token);

// A token in the alphabet.
std::string token_of_bytes(std::string_view bytes);

}  // namespace sartor::text
