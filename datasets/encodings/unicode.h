// Unicode properties of single code points, by binary search in unicode_tables.h (CharacterMap is faster), and UTF-8
// helpers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "encodings/unicode_tables.h"

namespace sartor::text::unicode {

uint8_t properties(char32_t code);       // bits of Property
uint8_t combining_class(char32_t code);  // canonical combining class; 0 for a starter
uint8_t metric_classes(char32_t code);   // bits of MetricClass

// Hangul syllables, whose decomposition is computed.
constexpr char32_t hangul_first = 0xAC00, hangul_last = 0xD7A3;

// Up to four code points of a decomposition or lowercase mapping, without heap allocation.
struct Codes {
  char32_t codes[4];
  int size;
  std::span<const char32_t> span() const { return {codes, static_cast<size_t>(size)}; }
};
Codes decomposition(char32_t code);  // NFD; the code point itself if it has none
Codes lowercase(char32_t code);      // the code point itself if it has none

// Decodes the character at `at`, which must be valid UTF-8, and advances `at` past it.
inline char32_t next_character(const char*& at) {
  const auto byte = [&](int i) { return static_cast<char32_t>(static_cast<uint8_t>(at[i])); };
  const char32_t first = byte(0);
  if (first < 0x80) {
    at += 1;
    return first;
  }
  if (first < 0xE0) {
    const char32_t code = (first & 0x1F) << 6 | (byte(1) & 0x3F);
    at += 2;
    return code;
  }
  if (first < 0xF0) {
    const char32_t code = (first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    at += 3;
    return code;
  }
  const char32_t code = (first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  at += 4;
  return code;
}

// Writes the UTF-8 encoding and returns its length, 1 to 4 bytes.
inline int write_character(char32_t code, char* bytes) {
  const auto continuation = [&](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    bytes[0] = static_cast<char>(code);
    return 1;
  }
  if (code < 0x800) {
    bytes[0] = static_cast<char>(0xC0 | code >> 6);
    bytes[1] = continuation(0);
    return 2;
  }
  if (code < 0x10000) {
    bytes[0] = static_cast<char>(0xE0 | code >> 12);
    bytes[1] = continuation(6);
    bytes[2] = continuation(0);
    return 3;
  }
  bytes[0] = static_cast<char>(0xF0 | code >> 18);
  bytes[1] = continuation(12);
  bytes[2] = continuation(6);
  bytes[3] = continuation(0);
  return 4;
}

inline void append_character(std::string& text, char32_t code) {
  char bytes[4];
  text.append(bytes, write_character(code, bytes));
}

// Removes trailing whitespace. `text` must be valid UTF-8.
std::string_view without_whitespace_at_end(std::string_view text);

// Number of code points. `text` must be valid UTF-8.
inline int64_t count_characters(std::string_view text) {
  int64_t count = 0;
  for (const char byte : text) count += static_cast<signed char>(byte) >= -64;
  return count;
}

// Whether a text has no visible character: only whitespace, zero-width and control characters. `text` must be valid
// UTF-8.
bool is_blank(std::string_view text);

// Replaces invalid UTF-8 by U+FFFD in the same way as Python's bytes.decode("utf-8", "replace"): one U+FFFD for each
// longest prefix of a valid character, or for a single byte.
std::string replace_broken(std::string_view text);

// Number of bytes at the end of a text, 0 to 3, that are the beginning of a character.
size_t incomplete_at_end(std::string_view text);

}  // namespace sartor::text::unicode
