// Interface of executable models, such as WordPiece, which split text without added tokens into tokens.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizers/parts/character_map.h"

namespace sartor::text {

// Characters begin .. end - 1 of a text, in code points. Invalid UTF-8 counts as the U+FFFD that replace it (see
// unicode::replace_broken). Special tokens of the template have 0 .. 0.
struct Span {
  uint32_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

// Tokens of one text.
struct TokenList {
  bool wants_offsets = false;
  size_t limit = SIZE_MAX;  // number of tokens at which tokenization stops

  std::vector<int32_t> ids;
  std::vector<Span> offsets;
  bool full = false;  // whether the limit has been reached

  // Scratch memory of models, reused for all texts.
  std::vector<char> word;
  std::vector<uint32_t> origins;

  void clear() {
    ids.clear();
    offsets.clear();
    full = false;
  }
  void add(int32_t id, Span where) {
    ids.push_back(id);
    if (wants_offsets) offsets.push_back(where);
  }
};

// A non-empty part of a text, valid UTF-8.
struct Stretch {
  std::string_view text;
  uint32_t first;                     // index of its first character
  const uint32_t* origins = nullptr;  // index in the original text for each index; null if the text is not normalized

  // Position of the characters first .. last in the original text.
  Span span(uint32_t first, uint32_t last) const {
    return origins ? Span{origins[first], origins[last] + 1} : Span{first, last + 1};
  }
};

// Thread-safe.
class TokenizerModel {
 public:
  virtual ~TokenizerModel() = default;

  // Appends the tokens of a stretch, which is normalized first unless it has origins.
  virtual void tokenize(const Stretch& stretch, TokenList& tokens) const = 0;

  // Whether normalize() certainly leaves `text`, valid UTF-8, unchanged.
  virtual bool normalized(std::string_view) const { return false; }

  // `text` is valid UTF-8; `first` is the index of its first character.
  virtual NormalizedText normalize(std::string_view text, uint32_t first) const = 0;
};

}  // namespace sartor::text
