// Specification of a tokenizer, with the parts of Hugging Face's tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "text/tokenizers/byte_bpe.h"
#include "text/tokenizers/model_spec.h"
#include "text/tokenizers/parts/added_tokens.h"
#include "text/tokenizers/parts/decoder.h"
#include "text/tokenizers/parts/normalizer.h"
#include "text/tokenizers/parts/post_processor.h"
#include "text/tokenizers/parts/pre_tokenizer.h"
#include "text/tokenizers/parts/truncation.h"
#include "text/tokenizers/wordpiece.h"

namespace sartor::text {

// A model of this library or of the user (see ModelReader in tokenizer_files.h).
using Model = std::variant<WordPiece, ByteBpe, std::shared_ptr<const ModelSpec>>;

struct TokenizerSpec {
  // Ids are distinct and not negative, but may have gaps. Texts are distinct.
  struct Token {
    std::string text;
    int32_t id;
    bool operator==(const Token&) const = default;
  };
  std::vector<Token> vocabulary;
  Model model;

  Normalizer normalizer = BertNormalizer();
  PreTokenizer pre_tokenizer;
  std::vector<AddedToken> added_tokens;
  PostProcessor post_processor;
  Decoder decoder = WordPieceDecoder();

  // Recommendations in the files. Encoding uses the caller's options instead.
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
};

const ModelSpec& model_of(const TokenizerSpec& spec);

// The id of the model's unknown token, if the model has one and the vocabulary contains it.
std::optional<int32_t> unknown_id(const TokenizerSpec& spec);

// SHA-256 of everything that determines the token ids of a text. Stored in tokenized data, so that it must not change
// between versions.
std::string hash_of(const TokenizerSpec& spec);

// Throws std::invalid_argument if the spec is inconsistent or unsupported by Hugging Face's library.
void check(const TokenizerSpec& spec);

}  // namespace sartor::text
