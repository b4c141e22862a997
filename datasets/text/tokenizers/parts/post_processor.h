// What a tokenizer puts around the tokens of one text or two: the field "post_processor" of tokenizer.json.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

struct TemplatePiece {
  enum Kind { first, second, special } kind;  // the first text, the second text, or special tokens
  uint8_t type_id = 0;
  std::vector<int32_t> ids = {};  // of the special tokens

  bool operator==(const TemplatePiece&) const = default;
};
using TemplatePieces = std::vector<TemplatePiece>;

// Without further words: the texts alone, the second one with type 1.
struct TemplateProcessing {
  TemplatePieces single = {{TemplatePiece::first}};
  TemplatePieces pair = {{TemplatePiece::first}, {TemplatePiece::second, 1}};

  bool operator==(const TemplateProcessing&) const = default;
};

// [CLS] text [SEP], and [CLS] text [SEP] pair [SEP] with type 1 for the pair and the token behind it.
TemplateProcessing bert_processing(int32_t cls, int32_t sep);

using PostProcessor = std::variant<TemplateProcessing>;

// Throws std::invalid_argument for a post-processor that is none of these.
PostProcessor read_post_processor(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const PostProcessor& post_processor,
                               const std::function<std::string(int32_t id)>& token_of);

// Throws std::invalid_argument where a template lacks a text or has one too many.
void check(const PostProcessor& post_processor);

// The pieces of a row of one text, or of a pair, and how many special tokens they are.
const TemplatePieces& pieces_of(const PostProcessor& post_processor, bool pair);
int64_t special_tokens(const TemplatePieces& pieces);

// Adds what decides the ids of a text to a list.
void append_hashed(const PostProcessor& post_processor, nlohmann::json& hashed);

}  // namespace sartor::text
