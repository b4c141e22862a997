#include "text/tokenizers/parts/post_processor.h"

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
  const bool bert = field["type"].one_of<bool>({{"TemplateProcessing", false}, {"BertProcessing", true}});
  if (bert) return bert_processing(read_named_id(field["cls"]), read_named_id(field["sep"]));
  const JsonField special_tokens = field["special_tokens"];
  return TemplateProcessing{read_pieces(field["single"], special_tokens), read_pieces(field["pair"], special_tokens)};
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

void append_hashed(const PostProcessor& post_processor, nlohmann::json& hashed) {
  std::visit([&](const auto& each) { append(each, hashed); }, post_processor);
}

}  // namespace sartor::text
