#include "text/tokenizers/parts/post_processor.h"

#include <algorithm>

#include "encodings/unicode.h"
#include "storage/json_fields.h"

namespace sartor::text {
namespace {

using datasets::JsonField;
using Json = nlohmann::ordered_json;
using TokenOf = std::function<std::string(int32_t)>;

TemplatePieces read_pieces(const JsonField& field, const JsonField& special_tokens) {
  TemplatePieces pieces;
  field.each([&](const JsonField& piece) {
    if (piece.has("Sequence")) {
      const JsonField sequence = piece["Sequence"];
      const auto kind =
          sequence["id"].one_of<TemplatePiece::Kind>({{"A", TemplatePiece::first}, {"B", TemplatePiece::second}});
      pieces.push_back({kind, static_cast<uint8_t>(sequence["type_id"].integer(0, UINT8_MAX))});
      return;
    }
    const JsonField special = piece["SpecialToken"];
    const std::string name = special["id"].text();
    special["id"].check(special_tokens.has(name), "a name in post_processor.special_tokens");
    TemplatePiece made = {TemplatePiece::special, static_cast<uint8_t>(special["type_id"].integer(0, UINT8_MAX))};
    special_tokens[name]["ids"].each(
        [&](const JsonField& id) { made.ids.push_back(static_cast<int32_t>(id.integer(0, INT32_MAX))); });
    if (!made.ids.empty()) pieces.push_back(std::move(made));
  });
  return pieces;
}

// Reads the id from a [token, id] array.
int32_t read_named_id(const JsonField& field) {
  field.check(field.value().is_array() && field.value().size() == 2, "a token and its id");
  int32_t id = 0;
  field.each([&, first = true](const JsonField& each) mutable {
    if (first) each.text();
    if (!first) id = static_cast<int32_t>(each.integer(0, INT32_MAX));
    first = false;
  });
  return id;
}

// Adds the special tokens of the pieces to `special`.
Json written(const TemplatePieces& pieces, const TokenOf& token_of, Json& special) {
  Json list = Json::array();
  for (const auto& [kind, type_id, ids] : pieces) {
    if (kind != TemplatePiece::special)
      list.push_back({{"Sequence", {{"id", kind == TemplatePiece::first ? "A" : "B"}, {"type_id", type_id}}}});
    for (const int32_t id : ids) {
      const std::string name = token_of(id);
      list.push_back({{"SpecialToken", {{"id", name}, {"type_id", type_id}}}});
      special[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
    }
  }
  return list;
}

Json written(const TemplateProcessing& processing, const TokenOf& token_of) {
  Json special = Json::object();
  const Json single = written(processing.single, token_of, special), pair = written(processing.pair, token_of, special);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

void check_pieces(const TemplatePieces& pieces, const char* name, bool pair) {
  bool first = false, second = false;
  for (const auto& [kind, type_id, ids] : pieces) {
    first |= kind == TemplatePiece::first;
    second |= kind == TemplatePiece::second;
    require((kind == TemplatePiece::special) != ids.empty(),
            "template {}: special tokens must have ids, texts must not", name);
    for (const int32_t id : ids) require(id >= 0, "template {}: a special token has the id {}", name, id);
  }
  require(pair || !second, "template {} has a second text", name);
  require(!pair || (first && second), "template {} lacks one of the two texts", name);
}

void check_parts(const TemplateProcessing& processing) {
  check_pieces(processing.single, "single", false);
  check_pieces(processing.pair, "pair", true);
}

void append(const TemplateProcessing& processing, nlohmann::json& hashed) {
  for (const auto* pieces : {&processing.single, &processing.pair}) {
    for (const auto& [kind, type_id, ids] : *pieces) hashed.push_back({static_cast<int>(kind), type_id, ids});
  }
}

const TemplatePieces& pieces(const TemplateProcessing& processing, bool pair) {
  return pair ? processing.pair : processing.single;
}

Json written(const ByteLevelProcessing& processing, const TokenOf& token_of) {
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", processing.add_prefix_space},
                           {"trim_offsets", processing.trim_offsets},
                           {"use_regex", true}};
  if (processing.then == TemplateProcessing()) return byte_level;
  return {{"type", "Sequence"}, {"processors", {byte_level, written(processing.then, token_of)}}};
}
void check_parts(const ByteLevelProcessing& processing) { check_parts(processing.then); }
void append(const ByteLevelProcessing& processing, nlohmann::json& hashed) { append(processing.then, hashed); }
const TemplatePieces& pieces(const ByteLevelProcessing& processing, bool pair) { return pieces(processing.then, pair); }

TemplateProcessing read_template(const JsonField& field) {
  const JsonField special_tokens = field["special_tokens"];
  return {read_pieces(field["single"], special_tokens), read_pieces(field["pair"], special_tokens)};
}

ByteLevelProcessing read_byte_level(const JsonField& field) {
  return {.add_prefix_space = field["add_prefix_space"].flag(), .trim_offsets = field["trim_offsets"].flag()};
}

ByteLevelProcessing read_sequence(const JsonField& steps) {
  steps.check(steps.value().is_array() && steps.value().size() == 2, "ByteLevel and TemplateProcessing");
  steps.at(0).check_type("ByteLevel");
  steps.at(1).check_type("TemplateProcessing");
  auto made = read_byte_level(steps.at(0));
  made.then = read_template(steps.at(1));
  return made;
}

bool is_blank(char32_t code) { return code == U'\u0120' || unicode::properties(code) & unicode::whitespace; }

}  // namespace

TemplateProcessing bert_processing(int32_t cls, int32_t sep) {
  const TemplatePieces single = {
      {TemplatePiece::special, 0, {cls}}, {TemplatePiece::first, 0}, {TemplatePiece::special, 0, {sep}}};
  auto pair = single;
  pair.insert(pair.end(), {{TemplatePiece::second, 1}, {TemplatePiece::special, 1, {sep}}});
  return {single, pair};
}

PostProcessor read_post_processor(const JsonField& field) {
  if (field.is_null()) return TemplateProcessing();
  enum class Kind { pieces, bert, byte_level, sequence };
  switch (field["type"].one_of<Kind>({{"TemplateProcessing", Kind::pieces},
                                      {"BertProcessing", Kind::bert},
                                      {"ByteLevel", Kind::byte_level},
                                      {"Sequence", Kind::sequence}})) {
    case Kind::bert:
      return bert_processing(read_named_id(field["cls"]), read_named_id(field["sep"]));
    case Kind::byte_level:
      return read_byte_level(field);
    case Kind::sequence:
      return read_sequence(field["processors"]);
    default:
      return read_template(field);
  }
}

Json json_of(const PostProcessor& post_processor, const TokenOf& token_of) {
  return std::visit([&](const auto& each) { return written(each, token_of); }, post_processor);
}

void check(const PostProcessor& post_processor) {
  std::visit([](const auto& each) { check_parts(each); }, post_processor);
}

const TemplatePieces& pieces_of(const PostProcessor& post_processor, bool pair) {
  return std::visit([&](const auto& each) -> const TemplatePieces& { return pieces(each, pair); }, post_processor);
}

int64_t special_tokens(const TemplatePieces& pieces) {
  int64_t count = 0;
  for (const auto& piece : pieces) count += std::ssize(piece.ids);
  return count;
}

Blanks blanks_of(std::string_view token) {
  Blanks blanks;
  bool begins = true;
  for (const char *at = token.data(), *end = at + token.size(); at < end;) {
    const bool blank = is_blank(unicode::next_character(at));
    begins &= blank;
    blanks.leading += begins;
    blanks.trailing = blank ? blanks.trailing + 1 : 0;
  }
  return blanks;
}

bool trims_offsets(const PostProcessor& post_processor) {
  const auto* byte_level = std::get_if<ByteLevelProcessing>(&post_processor);
  return byte_level && byte_level->trim_offsets;
}

// As in Hugging Face's library, which counts the characters of the token even where a character of the text is several.
Span trimmed(const PostProcessor& post_processor, Blanks blanks, Span where, bool first) {
  auto [leading, trailing] = blanks;
  const bool keeps = std::get<ByteLevelProcessing>(post_processor).add_prefix_space && (first || where.begin == 0);
  if (keeps && leading == 1) leading = 0;
  const uint32_t begin = std::min(where.begin + leading, where.end);
  const uint32_t end = where.end >= trailing ? std::max(where.end - trailing, begin) : where.end;
  return {begin, end};
}

void append_hashed(const PostProcessor& post_processor, nlohmann::json& hashed) {
  std::visit([&](const auto& each) { append(each, hashed); }, post_processor);
}

}  // namespace sartor::text
