#include "text/tokenizers/parts/normalizer.h"

#include <stdexcept>

#include "storage/json_fields.h"

namespace sartor::text {
namespace {

using datasets::JsonField;
using Json = nlohmann::ordered_json;

BertNormalizer flags_of(const BertNormalizer& normalizer) { return normalizer; }
BertNormalizer flags_of(const NoNormalizer&) {
  return {.clean_text = false, .handle_chinese_chars = false, .strip_accents = false, .lowercase = false};
}
BertNormalizer flags_of(const Nfc&) {
  throw std::invalid_argument("the normalizer is NFC, expected BertNormalizer or none");
}

Json written(const Nfc&) { return {{"type", "NFC"}}; }
Json written(const NoNormalizer&) { return nullptr; }
Json written(const BertNormalizer& normalizer) {
  return {{"type", "BertNormalizer"},
          {"clean_text", normalizer.clean_text},
          {"handle_chinese_chars", normalizer.handle_chinese_chars},
          {"strip_accents", normalizer.strip_accents ? Json(*normalizer.strip_accents) : Json(nullptr)},
          {"lowercase", normalizer.lowercase}};
}

const char* name_of(std::optional<bool> value) { return value ? *value ? "true" : "false" : "null"; }

}  // namespace

Normalizer read_normalizer(const JsonField& field) {
  if (field.is_null()) return NoNormalizer();
  if (field["type"].one_of<bool>({{"BertNormalizer", false}, {"NFC", true}})) return Nfc();
  BertNormalizer normalizer = {.clean_text = field["clean_text"].flag(),
                               .handle_chinese_chars = field["handle_chinese_chars"].flag(),
                               .lowercase = field["lowercase"].flag()};
  if (!field["strip_accents"].is_null()) normalizer.strip_accents = field["strip_accents"].flag();
  return normalizer;
}

Json json_of(const Normalizer& normalizer) {
  return std::visit([](const auto& each) { return written(each); }, normalizer);
}

BertNormalizer bert_flags(const Normalizer& normalizer) {
  return std::visit([](const auto& each) { return flags_of(each); }, normalizer);
}

void check_agreement(const Normalizer& normalizer, const JsonField& config) {
  if (std::holds_alternative<Nfc>(normalizer)) return;
  const auto flags = bert_flags(normalizer);
  const auto check = [&](const char* key, std::optional<bool> ours) {
    if (!config.has(key)) return;
    const auto theirs = config[key].is_null() ? std::nullopt : std::optional(config[key].flag());
    config[key].check(theirs == ours, fmt::format("{} as in tokenizer.json", name_of(ours)));
  };
  check("do_lower_case", flags.lowercase);
  check("tokenize_chinese_chars", flags.handle_chinese_chars);
  check("strip_accents", flags.strip_accents);
}

void append_hashed(const Normalizer& normalizer, nlohmann::json& hashed) {
  if (std::holds_alternative<Nfc>(normalizer)) return hashed.push_back("NFC");
  const auto flags = bert_flags(normalizer);
  hashed.push_back(flags.clean_text);
  hashed.push_back(flags.handle_chinese_chars);
  hashed.push_back(flags.strip_accents.value_or(flags.lowercase));
  hashed.push_back(flags.lowercase);
}

}  // namespace sartor::text
