// Normalization of text before it is split into words: the field "normalizer" of tokenizer.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <variant>

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

// Leaves texts unchanged.
struct NoNormalizer {
  bool operator==(const NoNormalizer&) const = default;
};

struct BertNormalizer {
  bool clean_text = true;             // removes control characters and replaces all whitespace by spaces
  bool handle_chinese_chars = true;   // puts spaces around CJK ideographs
  std::optional<bool> strip_accents;  // NFD and removal of nonspacing marks; default: the value of lowercase
  bool lowercase = true;

  bool operator==(const BertNormalizer&) const = default;
};

// Unicode normalization form C.
struct Nfc {
  bool operator==(const Nfc&) const = default;
};

using Normalizer = std::variant<NoNormalizer, BertNormalizer, Nfc>;

// Throws std::invalid_argument if the normalizer is not supported.
Normalizer read_normalizer(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const Normalizer& normalizer);

// Equivalent flags of BertNormalizer; all false for NoNormalizer. Throws std::invalid_argument for other normalizers.
BertNormalizer bert_flags(const Normalizer& normalizer);

// Throws std::invalid_argument if flags in a tokenizer_config.json, which transformers uses, contradict the normalizer.
void check_agreement(const Normalizer& normalizer, const datasets::JsonField& config);

// Appends everything that determines token ids.
void append_hashed(const Normalizer& normalizer, nlohmann::json& hashed);

}  // namespace sartor::text
