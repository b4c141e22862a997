#include "text/token_bytes.h"

#include <algorithm>

#include "encodings/unicode.h"
#include "text/tokenizers/parts/byte_alphabet.h"

namespace sartor::text {
namespace {

// Byte offsets of character indices, which ascend.
std::vector<int64_t> bytes_of_characters(std::string_view text, const std::vector<Span>& offsets) {
  std::vector<int64_t> ends;
  const char* at = text.data();
  uint32_t character = 0;
  for (const auto& [begin, end] : offsets) {
    for (; character < end; character++) unicode::next_character(at);
    ends.push_back(at - text.data());
  }
  return ends;
}

// Ends of tokens in the byte-level alphabet, each of which stands for bytes and not for characters.
std::vector<int64_t> bytes_of_tokens(const Tokenizer& tokenizer, std::string_view text,
                                     const std::vector<int32_t>& ids) {
  std::vector<int64_t> ends;
  int64_t end = 0;
  for (const auto id : ids) {
    const auto token = tokenizer.token(id);
    const auto bytes = bytes_of(token);
    end += std::ssize(bytes ? std::string_view(*bytes) : token);
    ends.push_back(std::min(end, std::ssize(text)));  // normalization may change the number of bytes
  }
  return ends;
}

}  // namespace

std::vector<int64_t> byte_ends(const Tokenizer& tokenizer, std::string_view text, int64_t tokens) {
  // One token more shows whether text follows the last token wanted.
  const auto encoded = tokenizer.encode(
      text, {.special_tokens = false, .offsets = true, .truncation = Truncation{.max_length = tokens + 1}});
  const bool byte_level = std::holds_alternative<ByteLevelDecoder>(tokenizer.spec().decoder);
  auto ends = byte_level ? bytes_of_tokens(tokenizer, text, encoded.ids) : bytes_of_characters(text, encoded.offsets);
  if (std::ssize(ends) > tokens) {
    ends.resize(tokens);
  } else if (!ends.empty()) {
    ends.back() = std::ssize(text);
  }
  return ends;
}

}  // namespace sartor::text
