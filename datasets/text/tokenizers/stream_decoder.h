// Decoding of tokens while they are generated.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizers/tokenizer.h"

namespace sartor::text {

// Returns the text of each token as soon as it is certain. All returned pieces together are Tokenizer::decode of all
// ids. Bytes that may be the beginning of a character are held back until the character is complete or impossible, so
// that every piece is valid UTF-8. The tokenizer must outlive this object.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens = true)
      : tokenizer_(tokenizer), skip_special_tokens_(skip_special_tokens) {}

  std::string add(int32_t id);  // what the token adds to the text, which may be nothing
  std::string finish();         // the rest; afterwards a new text begins

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_tokens_;
  bool first_ = true;  // no token has been decoded
  std::string held_;   // the beginning of a character
};

}  // namespace sartor::text
