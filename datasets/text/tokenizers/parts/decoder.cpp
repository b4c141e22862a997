#include "text/tokenizers/parts/decoder.h"

#include "base/utf8.h"
#include "encodings/unicode.h"
#include "storage/json_fields.h"
#include "text/tokenizers/parts/byte_alphabet.h"

namespace sartor::text {
namespace {

using Json = nlohmann::ordered_json;

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

void clean_up(std::string& piece) {
  static constexpr std::pair<const char*, const char*> rules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [what, with] : rules) replace_all(piece, what, with);
}

Json written(const NoDecoder&) { return nullptr; }
Json written(const WordPieceDecoder& decoder) {
  return {{"type", "WordPiece"}, {"prefix", decoder.prefix}, {"cleanup", decoder.cleanup}};
}

Json written(const ByteLevelDecoder&) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
}

void append(const NoDecoder&, std::string_view token, bool first, std::string& text) {
  if (!first) text += ' ';
  text += token;
}

void append(const WordPieceDecoder& decoder, std::string_view token, bool first, std::string& text) {
  std::string piece(token);
  if (!first && piece.starts_with(decoder.prefix)) {
    piece.erase(0, decoder.prefix.size());
  } else if (!first) {
    piece.insert(0, 1, ' ');
  }
  if (decoder.cleanup) clean_up(piece);
  text += piece;
}

void append(const ByteLevelDecoder&, std::string_view token, bool, std::string& text) {
  text += bytes_of(token).value_or(std::string(token));
}

}  // namespace

Decoder read_decoder(const datasets::JsonField& field) {
  if (field.is_null()) return NoDecoder();
  if (field["type"].one_of<bool>({{"WordPiece", false}, {"ByteLevel", true}})) return ByteLevelDecoder();
  return WordPieceDecoder{.prefix = field["prefix"].text(), .cleanup = field["cleanup"].flag()};
}

Json json_of(const Decoder& decoder) {
  return std::visit([](const auto& each) { return written(each); }, decoder);
}

void append_decoded(const Decoder& decoder, std::string_view token, bool first, std::string& text) {
  std::visit([&](const auto& each) { append(each, token, first, text); }, decoder);
}

std::string decode(const Decoder& decoder, std::span<const std::string_view> tokens) {
  std::string text;
  for (size_t i = 0; i < tokens.size(); i++) append_decoded(decoder, tokens[i], i == 0, text);
  return valid_utf8(text) == text.size() ? text : unicode::replace_broken(text);
}

}  // namespace sartor::text
