// BertNormalizer and BertPreTokenizer of Hugging Face's tokenizers in one table: what a code point becomes, and whether
// it belongs to a word.
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

// What each code point becomes, all steps of the normalizer together, in one lookup.
class CharacterMap {
 public:
  enum Kind : uint32_t {
    letter,       // of a word, as it is
    replaced,     // of a word, as the code point `payload`
    dropped,      // payload 1: it stood between two runs of combining characters
    space,        // ends a word; becomes the code point `payload`
    punctuation,  // a word of its own, as it is
    ideograph,    // a word of its own, as it is, with spaces around
    sequence,     // of code points, at `payload` of the pool
    combining,    // must be put in canonical order with its neighbours; payload 1: some of it stays, 0: all is dropped
  };
  struct Entry {
    uint32_t bits;
    Kind kind() const { return static_cast<Kind>(bits & 7); }
    uint32_t payload() const { return bits >> 3; }
  };
  // Of a sequence.
  struct Part {
    char32_t code;
    Kind kind;  // letter, space or punctuation
  };

  explicit CharacterMap(const BertNormalizer& normalizer);

  Entry operator[](char32_t code) const { return {blocks_[block_of_[code >> 8] << 8 | (code & 0xFF)]}; }
  // The letter of a word that an ASCII byte becomes; 0 for other bytes.
  const char* letters() const { return ascii_.data(); }

  std::span<const Part> sequence_at(uint32_t payload) const {
    return {pool_.data() + payload + 1, static_cast<size_t>(pool_[payload].code)};
  }

  // For the runs of combining characters, which need more than one lookup.
  bool cleans(char32_t code) const { return clean_ && unicode::properties(code) & unicode::control; }
  void append_parts(char32_t decomposed, std::vector<Part>& parts) const;  // its lower case

 private:
  class Unpacked;
  Entry entry(char32_t code, const Unpacked& tables, std::vector<Part>& parts);

  bool clean_, separate_, strip_, lowercase_;
  std::vector<uint16_t> block_of_;  // of code >> 8
  std::vector<uint32_t> blocks_;    // of 256 entries
  std::vector<Part> pool_;          // a sequence is its length, in `code`, and its parts
  std::array<char, 256> ascii_ = {};
};

// Normalised text, valid UTF-8, and for each of its characters the index of the one that it comes from.
struct NormalizedText {
  std::string text;
  std::vector<uint32_t> origins;
};
// `text` must be valid UTF-8; its first character has the index `first`.
NormalizedText normalize(const CharacterMap& map, std::string_view text, uint32_t first = 0);

}  // namespace sartor::text
