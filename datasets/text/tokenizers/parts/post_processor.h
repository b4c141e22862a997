// Template of special tokens around one or two texts: the field "post_processor" of tokenizer.json.
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
  std::vector<int32_t> ids = {};  // ids of special tokens

  bool operator==(const TemplatePiece&) const = default;
};
using TemplatePieces = std::vector<TemplatePiece>;

// Default: the texts alone; the second text has type 1.
struct TemplateProcessing {
  TemplatePieces single = {{TemplatePiece::first}};
  TemplatePieces pair = {{TemplatePiece::first}, {TemplatePiece::second, 1}};

  bool operator==(const TemplateProcessing&) const = default;
};

// [CLS] text [SEP], and [CLS] text [SEP] pair [SEP] with type 1 for the pair and the last [SEP].
TemplateProcessing bert_processing(int32_t cls, int32_t sep);

using PostProcessor = std::variant<TemplateProcessing>;

// Throws std::invalid_argument if the post-processor is not supported.
PostProcessor read_post_processor(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const PostProcessor& post_processor,
                               const std::function<std::string(int32_t id)>& token_of);

// Throws std::invalid_argument if a template lacks a text or has an unexpected second text.
void check(const PostProcessor& post_processor);

// The pieces of a row with one text or a pair, and their number of special tokens.
const TemplatePieces& pieces_of(const PostProcessor& post_processor, bool pair);
int64_t special_tokens(const TemplatePieces& pieces);

// Appends everything that determines token ids.
void append_hashed(const PostProcessor& post_processor, nlohmann::json& hashed);

}  // namespace sartor::text
