// WordPiece: splits each word into the longest tokens of the vocabulary from left to right.
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
  int64_t max_input_chars_per_word = 100;  // longer words become unk_token

  static WordPiece read(const datasets::JsonField& model);

  std::optional<std::string> unknown_token() const override { return unk_token; }
  // Throws std::invalid_argument if the vocabulary lacks unk_token or max_input_chars_per_word is negative.
  std::unique_ptr<const TokenizerModel> make(const TokenizerSpec& spec) const override;
  nlohmann::ordered_json json(nlohmann::ordered_json vocabulary) const override;
  void append_hashed(nlohmann::json& hashed) const override;
  std::string tokenizer_class() const override { return "BertTokenizer"; }
  // Adds vocab.txt and the flags that transformers' BertTokenizer reads. Throws std::invalid_argument if vocab.txt
  // cannot represent the vocabulary: ids with gaps, tokens that contain line breaks or end in whitespace.
  void complete(const TokenizerSpec& spec, TokenizerFolder& folder) const override;
};

}  // namespace sartor::text
