// All that a tokenizer is made of, as the files of Hugging Face say it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizers/added_tokens.h"
#include "text/tokenizers/bert_normalizer.h"

namespace sartor::text {

enum class TruncationStrategy { longest_first, only_first, only_second };
enum class Side { right, left };

struct Truncation {
  int64_t max_length = 512;  // of the whole, special tokens included; at least their number
  TruncationStrategy strategy = TruncationStrategy::longest_first;
  Side side = Side::right;  // what is cut off
  int64_t stride = 0;       // tokens that overflowing windows would share; only read, we make no windows

  bool operator==(const Truncation&) const = default;
};

struct Padding {
  int64_t length = 0;       // of all rows; 0: as long as the longest
  int64_t multiple_of = 1;  // then up to the next multiple of this
  Side side = Side::right;  // where it goes
  int32_t id = 0;
  uint8_t type_id = 0;

  bool operator==(const Padding&) const = default;
};

struct TemplatePiece {
  enum Kind { first, second, special } kind;
  uint8_t type_id = 0;
  std::vector<int32_t> ids = {};  // of special

  bool operator==(const TemplatePiece&) const = default;
};

struct WordPieceDecoder {
  std::string prefix = "##";
  bool cleanup = true;  // no space before . ? ! , n't 'm 's 've 're
};

struct TokenizerSpec {
  // Ids differ and are not negative; a string stands once. Ids need not be dense.
  struct Token {
    std::string text;
    int32_t id;
    bool operator==(const Token&) const = default;
  };
  std::vector<Token> vocabulary;
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  int64_t max_input_chars_per_word = 100;  // a longer word is unk_token

  BertNormalizerOptions normalizer;
  std::vector<AddedToken> added_tokens;
  std::vector<TemplatePiece> single = {{TemplatePiece::first}};
  std::vector<TemplatePiece> pair = {{TemplatePiece::first}, {TemplatePiece::second, 1}};
  std::optional<WordPieceDecoder> decoder = WordPieceDecoder();  // without one tokens are joined by spaces

  // What the files recommend. Encoding goes by what its caller says.
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
};

}  // namespace sartor::text
