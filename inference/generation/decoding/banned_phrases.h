// Phrases that are not written, as sequences of tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizers/tokenizer.h"

namespace sartor::inference {

// Sequence s is ids[offsets[s]] to ids[offsets[s + 1] - 1].
struct TokenSequences {
  std::vector<int32_t> offsets = {0};
  std::vector<int32_t> ids;
};

// The tokens of each phrase alone and after a space, without special tokens, each sequence once; those that consist of
// one end token are left out, as in transformers. These are the sequences that its users pass as bad_words_ids. Throws
// std::invalid_argument if a phrase has no tokens.
TokenSequences tokenize_phrases(const text::Tokenizer& tokenizer, const std::vector<std::string>& phrases,
                                std::span<const int32_t> end_ids);

}  // namespace sartor::inference
