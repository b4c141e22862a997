// Operations of Python's str, which the reference implementations of text metrics consist of.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sartor::text_metrics {

// Code points of a text. Invalid UTF-8 becomes U+FFFD as in bytes.decode("utf-8", "replace").
std::u32string decode(std::string_view text);

std::string encode(std::u32string_view text);  // inverse of decode() for valid texts

// str.lower(), with the form of sigma for the ends of words.
std::u32string lowercase(std::u32string_view text);

// str.isspace(): the Unicode property White_Space and U+001C to U+001F.
constexpr bool is_space(char32_t code) {
  if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x1F);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

std::u32string_view strip_end(std::u32string_view text);           // str.rstrip()
std::u32string_view strip(std::u32string_view text);               // str.strip()
std::vector<std::u32string> split(std::u32string_view text);       // str.split()
std::u32string without_spaces(std::u32string_view text);           // "".join(str.split())
std::vector<std::u32string_view> lines(std::u32string_view text);  // str.split("\n") without empty lines

}  // namespace sartor::text_metrics
