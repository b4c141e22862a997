#include "text/tokenizers/parts/byte_alphabet.h"

#include <array>

#include "encodings/unicode.h"

namespace sartor::text {
namespace {

struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<int16_t, 512> bytes;  // by code point; -1: not in the alphabet

  Alphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; byte++) {
      const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
      const char32_t code = printable ? static_cast<char32_t>(byte) : next++;
      unicode::append_character(characters[byte], code);
      bytes[code] = static_cast<int16_t>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet made;
  return made;
}

}  // namespace

std::string_view byte_character(uint8_t byte) { return alphabet().characters[byte]; }

std::optional<std::string> bytes_of(std::string_view token) {
  const auto& bytes = alphabet().bytes;
  std::string made;
  made.reserve(token.size());
  for (const char *at = token.data(), *end = at + token.size(); at < end;) {
    const char32_t code = unicode::next_character(at);
    if (code >= bytes.size() || bytes[code] < 0) return std::nullopt;
    made += static_cast<char>(bytes[code]);
  }
  return made;
}

std::string token_of_bytes(std::string_view bytes) {
  std::string token;
  for (const char byte : bytes) token += byte_character(static_cast<uint8_t>(byte));
  return token;
}

}  // namespace sartor::text
