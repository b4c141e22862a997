// Conversion of tokens to text: the field "decoder" of tokenizer.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

// Joins tokens with spaces.
struct NoDecoder {
  bool operator==(const NoDecoder&) const = default;
};

struct WordPieceDecoder {
  std::string prefix = "##";  // prefix of tokens that continue a word
  bool cleanup = true;        // removes the space before . ? ! , n't 'm 's 've 're

  bool operator==(const WordPieceDecoder&) const = default;
};

// Joins the bytes of tokens in the byte-level alphabet, and the tokens with other characters as they are. Invalid UTF-8
// becomes U+FFFD.
struct ByteLevelDecoder {
  bool operator==(const ByteLevelDecoder&) const = default;
};

using Decoder = std::variant<NoDecoder, WordPieceDecoder, ByteLevelDecoder>;

// Throws std::invalid_argument if the decoder is not supported.
Decoder read_decoder(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const Decoder& decoder);

// Appends what a token adds to the text of the tokens before it; `first` if there are none. The bytes may be invalid
// UTF-8 and end within a character, which a later token completes.
void append_decoded(const Decoder& decoder, std::string_view token, bool first, std::string& text);

// The text of all tokens. Invalid UTF-8 becomes U+FFFD.
std::string decode(const Decoder& decoder, std::span<const std::string_view> tokens);

}  // namespace sartor::text
