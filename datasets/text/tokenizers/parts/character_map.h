// BertNormalizer and BertPreTokenizer of Hugging Face's tokenizers in one table: the normalized form of each code point
// and its role in words.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "encodings/unicode.h"
#include "text/tokenizers/parts/normalizer.h"

namespace sartor::text {

// Maps each code point to the result of all normalization steps in one lookup.
class CharacterMap {
 public:
  enum Kind : uint32_t {
    letter,       // part of a word, unchanged
    replaced,     // part of a word, replaced by the code point `payload`
    dropped,      // removed; payload 1: separates runs of combining characters
    space,        // ends a word; becomes the code point `payload`
    punctuation,  // a word by itself, unchanged
    ideograph,    // a word by itself, unchanged, surrounded by spaces
    sequence,     // replaced by the code points at index `payload` of the pool
    combining,    // needs canonical ordering with its neighbors; payload 1: kept in part, 0: removed
  };
  struct Entry {
    uint32_t bits;
    Kind kind() const { return static_cast<Kind>(bits & 7); }
    uint32_t payload() const { return bits >> 3; }
  };
  // Element of a sequence.
  struct Part {
    char32_t code;
    Kind kind;  // letter, space or punctuation
  };

  explicit CharacterMap(const BertNormalizer& normalizer);

  Entry operator[](char32_t code) const { return {blocks_[block_of_[code >> 8] << 8 | (code & 0xFF)]}; }
  // Normalized letter for each ASCII byte; 0 if the byte is not a letter of a word.
  const char* letters() const { return ascii_.data(); }

  std::span<const Part> sequence_at(uint32_t payload) const {
    return {pool_.data() + payload + 1, static_cast<size_t>(pool_[payload].code)};
  }

  // For runs of combining characters, which need more than one lookup.
  bool cleans(char32_t code) const { return clean_ && unicode::properties(code) & unicode::control; }
  void append_parts(char32_t decomposed, std::vector<Part>& parts) const;  // appends its lowercase form

 private:
  class Unpacked;
  Entry entry(char32_t code, const Unpacked& tables, std::vector<Part>& parts);

  bool clean_, separate_, strip_, lowercase_;
  std::vector<uint16_t> block_of_;  // index: code >> 8
  std::vector<uint32_t> blocks_;    // 256 entries per block
  std::vector<Part> pool_;          // sequences: a Part with the length in `code`, followed by the elements
  std::array<char, 256> ascii_ = {};
};

// Normalized text, valid UTF-8, and the index of the original character for each of its characters.
struct NormalizedText {
  std::string text;
  std::vector<uint32_t> origins;
};
// `text` must be valid UTF-8; `first` is the index of its first character.
NormalizedText normalize(const CharacterMap& map, std::string_view text, uint32_t first = 0);

}  // namespace sartor::text
