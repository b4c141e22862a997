#include "text/tokenizers/parts/pre_tokenizer.h"

#include "storage/json_fields.h"

namespace sartor::text {
namespace {

nlohmann::ordered_json written(const BertPreTokenizer&) { return {{"type", "BertPreTokenizer"}}; }

void append(const BertPreTokenizer&, nlohmann::json&) {}

}  // namespace

PreTokenizer read_pre_tokenizer(const datasets::JsonField& field) {
  field.check_type("BertPreTokenizer");
  return BertPreTokenizer();
}

nlohmann::ordered_json json_of(const PreTokenizer& pre_tokenizer) {
  return std::visit([](const auto& each) { return written(each); }, pre_tokenizer);
}

void append_hashed(const PreTokenizer& pre_tokenizer, nlohmann::json& hashed) {
  std::visit([&](const auto& each) { append(each, hashed); }, pre_tokenizer);
}

}  // namespace sartor::text
