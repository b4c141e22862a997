// All that a tokenizer is made of, part by part, as tokenizer.json of Hugging Face has it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "text/tokenizers/model_spec.h"
#include "text/tokenizers/parts/added_tokens.h"
#include "text/tokenizers/parts/decoder.h"
#include "text/tokenizers/parts/normalizer.h"
#include "text/tokenizers/parts/post_processor.h"
#include "text/tokenizers/parts/pre_tokenizer.h"
#include "text/tokenizers/parts/truncation.h"
#include "text/tokenizers/wordpiece.h"

namespace sartor::text {

// A model of this library, or one that its user brings (a ModelReader of tokenizer_files.h reads it).
using Model = std::variant<WordPiece, std::shared_ptr<const ModelSpec>>;

struct TokenizerSpec {
  // Ids differ and are not negative; a string stands once. Ids may have holes.
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

  // What the files recommend. Encoding goes by what its caller says.
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
};

const ModelSpec& model_of(const TokenizerSpec& spec);

// The id of the model's unknown token, if it has one and the vocabulary has that.
std::optional<int32_t> unknown_id(const TokenizerSpec& spec);

// The SHA-256 of all that decides which ids a text becomes: tokenized data names its tokenizer by it. It stays the same
// from version to version.
std::string hash_of(const TokenizerSpec& spec);

// Throws std::invalid_argument for a spec that contradicts itself or that Hugging Face's library would not run.
void check(const TokenizerSpec& spec);

}  // namespace sartor::text
