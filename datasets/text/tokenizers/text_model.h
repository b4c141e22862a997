// What cuts a stretch of text without added tokens into tokens: WordPiece, and room for others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizers/tokenizer.h"

namespace sartor::text {

// The tokens of one text, as they are found.
struct TokenList {
  bool wants_offsets = false;
  size_t limit = SIZE_MAX;  // no more words are cut once there are so many tokens

  std::vector<int32_t> ids;
  std::vector<Span> offsets;
  bool full = false;  // the limit is reached

  // Kept from text to text, so that they need no memory of their own.
  std::vector<char> word;
  std::vector<uint32_t> origins;

  void clear() {
    ids.clear(), offsets.clear();
    full = false;
  }
  void add(int32_t id, Span where) {
    ids.push_back(id);
    if (wants_offsets) offsets.push_back(where);
  }
};

class TextModel {
 public:
  virtual ~TextModel() = default;

  // Adds the tokens of `text`, which is valid UTF-8 and not empty; its first character has the index `first`.
  virtual void tokenize(std::string_view text, uint32_t first, TokenList& tokens) const = 0;

  // The text that an added token with `normalized` is looked for as.
  virtual std::string normalized(std::string_view text) const = 0;
};

}  // namespace sartor::text
