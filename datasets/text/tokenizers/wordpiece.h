// WordPiece behind BertNormalizer and BertPreTokenizer.
#pragma once

#include <memory>

#include "text/tokenizers/text_model.h"

namespace sartor::text {

// Takes what it needs of the spec. Throws std::invalid_argument where the vocabulary lacks unk_token, and where two
// added tokens are the same once normalised, or nothing is left of one.
std::unique_ptr<const TextModel> make_wordpiece(const TokenizerSpec& spec);

}  // namespace sartor::text
