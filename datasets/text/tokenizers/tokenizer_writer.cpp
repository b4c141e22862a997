#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/require.h"
#include "storage/atomic_file.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::text {
namespace {

using Json = nlohmann::ordered_json;

std::vector<TokenizerSpec::Token> by_id(const TokenizerSpec& spec) {
  auto tokens = spec.vocabulary;
  std::ranges::sort(tokens, {}, &TokenizerSpec::Token::id);
  return tokens;
}

// The text of an id in the template or the padding.
std::string token_of(const TokenizerSpec& spec, int32_t id) {
  const auto added = std::ranges::find(spec.added_tokens, id, &AddedToken::id);
  if (added != spec.added_tokens.end()) return added->content;
  const auto found = std::ranges::find(spec.vocabulary, id, &TokenizerSpec::Token::id);
  require(found != spec.vocabulary.end(), "the template has the id {}, which is not a token", id);
  return found->text;
}

Json vocabulary(const TokenizerSpec& spec) {
  Json::object_t ids;
  for (const auto& [text, id] : by_id(spec)) ids.emplace_back(text, id);  // operator[] would be a linear search
  return ids;
}

Json added_tokens(const TokenizerSpec& spec) {
  auto tokens = spec.added_tokens;
  std::ranges::sort(tokens, {}, &AddedToken::id);
  Json list = Json::array();
  for (const auto& token : tokens) list.push_back(json_of(token));
  return list;
}

Json tokenizer_json(const TokenizerSpec& spec) {
  const auto name_of = [&](int32_t id) { return token_of(spec, id); };
  return {{"version", "1.0"},
          {"truncation", spec.truncation ? json_of(*spec.truncation) : Json(nullptr)},
          {"padding", spec.padding ? json_of(*spec.padding, name_of(spec.padding->id)) : Json(nullptr)},
          {"added_tokens", added_tokens(spec)},
          {"normalizer", json_of(spec.normalizer)},
          {"pre_tokenizer", json_of(spec.pre_tokenizer)},
          {"post_processor", json_of(spec.post_processor, name_of)},
          {"decoder", json_of(spec.decoder)},
          {"model", model_of(spec).json(vocabulary(spec))}};
}

}  // namespace

void write_tokenizer(const std::filesystem::path& folder, const TokenizerSpec& spec, int64_t max_length,
                     std::string_view tokenizer_class, const TokenRoles& roles) {
  const auto& model = model_of(spec);
  TokenizerFolder files = {
      .tokenizer = tokenizer_json(spec),
      .config = {{"tokenizer_class", tokenizer_class.empty() ? model.tokenizer_class() : std::string(tokenizer_class)},
                 {"model_max_length", max_length}}};
  for (const auto& [role, token] : roles) files.config[role] = token;
  model.complete(spec, files);
  for (const auto& [name, bytes] : files.more) datasets::write_file(folder / name, bytes);
  datasets::write_file(folder / "tokenizer.json", files.tokenizer.dump(1, '\t') + "\n");
  datasets::write_file(folder / "tokenizer_config.json", files.config.dump(2) + "\n");
}

}  // namespace sartor::text
