// WordPiece with BertNormalizer and BertPreTokenizer in one pass over the text. A translation unit of its own: among
// other code, the compiler inlines less of the inner loop, which costs 6%.
#pragma once

#include <cstdint>
#include <memory>

#include "text/tokenizers/tokenizer_model.h"
#include "text/tokenizers/tokenizer_spec.h"

namespace sartor::text {

// `unknown` is the id of model.unk_token.
std::unique_ptr<const TokenizerModel> make_word_cutter(const WordPiece& model, const TokenizerSpec& spec,
                                                       int32_t unknown);

}  // namespace sartor::text
