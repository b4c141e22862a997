#include "text/tokenizers/parts/decoder.h"

#include "encodings/unicode.h"
#include "storage/json_fields.h"
#include "text/tokenizers/parts/byte_alphabet.h"

namespace sartor::text {
namespace {

using Json = nlohmann::ordered_json;
using Tokens = std::span<const std::string_view>;

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

std::string joined(const NoDecoder&, Tokens tokens) {
  std::string text;
  for (size_t i = 0; i < tokens.size(); i++) {
    if (i > 0) text += ' ';
    text += tokens[i];
  }
  return text;
}

std::string joined(const WordPieceDecoder& decoder, Tokens tokens) {
  std::string text, piece;
  for (size_t i = 0; i < tokens.size(); i++) {
    piece = tokens[i];
    if (i > 0 && piece.starts_with(decoder.prefix)) {
      piece.erase(0, decoder.prefix.size());
    } else if (i > 0) {
      piece.insert(0, 1, ' ');
    }
    if (decoder.cleanup) clean_up(piece);
    text += piece;
  }
  return text;
}

std::string joined(const ByteLevelDecoder&, Tokens tokens) {
  std::string bytes;
  for (const auto token : tokens) bytes += bytes_of(token).value_or(std::string(token));
  return unicode::replace_broken(bytes);
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

std::string decode(const Decoder& decoder, Tokens tokens) {
  return std::visit([&](const auto& each) { return joined(each, tokens); }, decoder);
}

}  // namespace sartor::text
