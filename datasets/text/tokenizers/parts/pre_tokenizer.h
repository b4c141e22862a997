// How a tokenizer divides normalized text into the words that its model cuts: the field "pre_tokenizer" of
// tokenizer.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <variant>

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

// Words end at whitespace; each punctuation character is a word of its own.
struct BertPreTokenizer {
  bool operator==(const BertPreTokenizer&) const = default;
};

using PreTokenizer = std::variant<BertPreTokenizer>;

// Throws std::invalid_argument for a pre-tokenizer that is none of these.
PreTokenizer read_pre_tokenizer(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const PreTokenizer& pre_tokenizer);

// Adds what decides the ids of a text to a list: nothing for BertPreTokenizer, which was the only one when the first
// hashes were stored.
void append_hashed(const PreTokenizer& pre_tokenizer, nlohmann::json& hashed);

}  // namespace sartor::text
