// Template of special tokens around one or two texts: the field "post_processor" of tokenizer.json.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/tokenizers/tokenizer_model.h"

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

// ByteLevel, which may exclude whitespace from offsets, alone or followed by a template.
struct ByteLevelProcessing {
  bool add_prefix_space = true;  // keeps a single space at the beginning of the text
  bool trim_offsets = true;
  TemplateProcessing then;  // default: as without it

  bool operator==(const ByteLevelProcessing&) const = default;
};

using PostProcessor = std::variant<TemplateProcessing, ByteLevelProcessing>;

// Throws std::invalid_argument if the post-processor is not supported.
PostProcessor read_post_processor(const datasets::JsonField& field);
nlohmann::ordered_json json_of(const PostProcessor& post_processor,
                               const std::function<std::string(int32_t id)>& token_of);

// Throws std::invalid_argument if a template lacks a text or has an unexpected second text.
void check(const PostProcessor& post_processor);

// The pieces of a row with one text or a pair, and their number of special tokens.
const TemplatePieces& pieces_of(const PostProcessor& post_processor, bool pair);
int64_t special_tokens(const TemplatePieces& pieces);

// Numbers of whitespace characters, or spaces of the byte-level alphabet, at both ends of a token.
struct Blanks {
  uint32_t leading = 0, trailing = 0;
};
Blanks blanks_of(std::string_view token);

// Whether offsets exclude whitespace, and the new position of a token; `first` for the first token of a text.
bool trims_offsets(const PostProcessor& post_processor);
Span trimmed(const PostProcessor& post_processor, Blanks blanks, Span where, bool first);

// Appends everything that determines token ids.
void append_hashed(const PostProcessor& post_processor, nlohmann::json& hashed);

}  // namespace sartor::text
