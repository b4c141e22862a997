// What a tokenizer makes of a text before it looks for words: the field "normalizer" of tokenizer.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <variant>

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

// Texts stay as they are.
struct NoNormalizer {
  bool operator==(const NoNormalizer&) const = default;
};

struct BertNormalizer {
  bool clean_text = true;             // drops control characters and makes all whitespace spaces
  bool handle_chinese_chars = true;   // puts spaces around CJK ideographs
  std::optional<bool> strip_accents;  // NFD without nonspacing marks; absent: the same as lowercase
  bool lowercase = true;

  bool operator==(const BertNormalizer&) const = default;
};

using Normalizer = std::variant<NoNormalizer, BertNormalizer>;

// Throws std::invalid_argument for a normalizer that is none of these.
Normalizer read_normalizer(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const Normalizer& normalizer);

// The flags of BERT's normalizer that do the same: all are off for none.
BertNormalizer bert_flags(const Normalizer& normalizer);

// Checks that the flags of a tokenizer_config.json, which transformers goes by, say the same. Throws
// std::invalid_argument.
void check_agreement(const Normalizer& normalizer, const datasets::JsonField& config);

// Adds what decides the ids of a text to a list.
void append_hashed(const Normalizer& normalizer, nlohmann::json& hashed);

}  // namespace sartor::text
