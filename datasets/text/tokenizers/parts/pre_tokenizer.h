// Splitting of normalized text into words: the field "pre_tokenizer" of tokenizer.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <variant>

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

// Splits at whitespace; each punctuation character is a word.
struct BertPreTokenizer {
  bool operator==(const BertPreTokenizer&) const = default;
};

using PreTokenizer = std::variant<BertPreTokenizer>;

// Throws std::invalid_argument if the pre-tokenizer is not supported.
PreTokenizer read_pre_tokenizer(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const PreTokenizer& pre_tokenizer);

// Appends everything that determines token ids: nothing for BertPreTokenizer, which was the only pre-tokenizer when the
// first hashes were stored.
void append_hashed(const PreTokenizer& pre_tokenizer, nlohmann::json& hashed);

}  // namespace sartor::text
