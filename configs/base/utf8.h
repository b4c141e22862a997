// UTF-8 decoding and validation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sartor {

struct Utf8Character {
  char32_t code;
  size_t bytes;  // length of the encoding, 1 to 4; 0 if the text does not begin with a valid character
};

// The first character of a text; bytes is 0 for an empty text and for invalid UTF-8, which includes overlong encodings,
// surrogates and code points above U+10FFFF.
constexpr Utf8Character first_character(std::string_view text) {
  constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};  // smallest code point that needs this many bytes
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (text.empty()) return {0, 0};
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t bytes = byte(0) < 0xC0 ? 0 : byte(0) < 0xE0 ? 2 : byte(0) < 0xF0 ? 3 : byte(0) < 0xF8 ? 4 : 0;
  if (bytes == 0 || text.size() < bytes) return {0, 0};
  char32_t code = byte(0) & (0x7F >> bytes);
  for (size_t i = 1; i < bytes; i++) {
    if ((byte(i) & 0xC0) != 0x80) return {0, 0};
    code = code << 6 | (byte(i) & 0x3F);
  }
  if (code < least[bytes] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {0, 0};
  return {code, bytes};
}

// Length in bytes of the longest prefix that is valid UTF-8. Skips ASCII eight bytes at a time.
inline size_t valid_utf8(std::string_view text) {
  size_t valid = 0;
  for (;;) {
    for (uint64_t eight; text.size() - valid >= sizeof(eight); valid += sizeof(eight)) {
      std::memcpy(&eight, text.data() + valid, sizeof(eight));
      if (eight & 0x8080808080808080) break;
    }
    const size_t bytes = first_character(text.substr(valid)).bytes;
    if (bytes == 0) return valid;
    valid += bytes;
  }
}

}  // namespace sartor
