// Splitting of normalized text into words: the field "pre_tokenizer" of tokenizer.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <variant>

#include "text/tokenizers/parts/byte_split.h"

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

// Splits at whitespace; each punctuation character is a word.
struct BertPreTokenizer {
  bool operator==(const BertPreTokenizer&) const = default;
};

// Splits by a published regular expression, then writes words as bytes: ByteLevel alone (gpt2, none), Split and
// ByteLevel (llama3, qwen2), or Digits and ByteLevel (digits).
struct ByteLevelPreTokenizer {
  SplitPattern pattern = SplitPattern::gpt2;
  bool add_prefix_space = false;  // before a text, or a part between added tokens, that does not begin with a space

  bool operator==(const ByteLevelPreTokenizer&) const = default;
};

using PreTokenizer = std::variant<BertPreTokenizer, ByteLevelPreTokenizer>;

// Throws std::invalid_argument if the pre-tokenizer is not supported.
PreTokenizer read_pre_tokenizer(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const PreTokenizer& pre_tokenizer);

// Throws std::invalid_argument if add_prefix_space in a tokenizer_config.json, which transformers uses, contradicts the
// pre-tokenizer.
void check_agreement(const PreTokenizer& pre_tokenizer, const datasets::JsonField& config);

// Appends everything that determines token ids: nothing for BertPreTokenizer, which was the only pre-tokenizer when the
// first hashes were stored.
void append_hashed(const PreTokenizer& pre_tokenizer, nlohmann::json& hashed);

}  // namespace sartor::text
