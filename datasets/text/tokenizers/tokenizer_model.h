// What cuts a stretch of text without added tokens into tokens: WordPiece, or another model of a spec, ready to run.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizers/parts/character_map.h"

namespace sartor::text {

// Characters begin .. end - 1 of a text, counted in code points; bytes that are not UTF-8 count as the U+FFFD that
// stand for them (unicode::replace_broken). Special tokens of the template have 0 .. 0.
struct Span {
  uint32_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

// The tokens of one text, as they are found.
struct TokenList {
  bool wants_offsets = false;
  size_t limit = SIZE_MAX;  // no more words are cut once there are so many tokens

  std::vector<int32_t> ids;
  std::vector<Span> offsets;
  bool full = false;  // the limit is reached

  // Scratch memory of models, kept from text to text.
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

// A part of a text, valid UTF-8 and not empty.
struct Stretch {
  std::string_view text;
  uint32_t first;                     // index of its first character
  const uint32_t* origins = nullptr;  // by that index: the character of the text as it was; null if not normalized

  // Where the characters first .. last (by index) come from.
  Span span(uint32_t first, uint32_t last) const {
    return origins ? Span{origins[first], origins[last] + 1} : Span{first, last + 1};
  }
};

// Any number of threads may use one at a time.
class TokenizerModel {
 public:
  virtual ~TokenizerModel() = default;

  // Adds the tokens of a stretch. It is normalized first unless it has origins.
  virtual void tokenize(const Stretch& stretch, TokenList& tokens) const = 0;

  // `text` is valid UTF-8; its first character has the index `first`.
  virtual NormalizedText normalize(std::string_view text, uint32_t first) const = 0;
};

}  // namespace sartor::text
