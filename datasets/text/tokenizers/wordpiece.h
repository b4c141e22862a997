// WordPiece: each word becomes the longest tokens of the vocabulary, from left to right.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizers/model_spec.h"

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

class WordPiece final : public ModelSpec {
 public:
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  int64_t max_input_chars_per_word = 100;  // a longer word becomes unk_token

  static WordPiece read(const datasets::JsonField& model);

  std::optional<std::string> unknown_token() const override { return unk_token; }
  // Throws std::invalid_argument where the vocabulary lacks unk_token or max_input_chars_per_word is negative.
  std::unique_ptr<const TokenizerModel> make(const TokenizerSpec& spec) const override;
  nlohmann::ordered_json json(nlohmann::ordered_json vocabulary) const override;
  void append_hashed(nlohmann::json& hashed) const override;
  std::string tokenizer_class() const override { return "BertTokenizer"; }
  // vocab.txt, and the flags that transformers' BertTokenizer goes by. Throws std::invalid_argument where vocab.txt
  // cannot say the vocabulary: ids with holes, tokens with line breaks or ending in whitespace.
  void complete(const TokenizerSpec& spec, TokenizerFolder& folder) const override;
};

}  // namespace sartor::text
