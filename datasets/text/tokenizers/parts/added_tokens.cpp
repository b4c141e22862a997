#include "text/tokenizers/parts/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "base/numbers.h"
#include "encodings/unicode.h"
#include "storage/json_fields.h"

namespace sartor::text {
namespace {

std::vector<ByteTrie::Entry> entries(const std::vector<std::string>& patterns) {
  std::vector<ByteTrie::Entry> made;
  for (const auto& pattern : patterns) made.push_back({pattern, static_cast<int32_t>(made.size())});
  return made;
}

bool has(char32_t code, unicode::Property property) { return unicode::properties(code) & property; }

// The character that ends at `end`, which is greater than 0. Moves `end` to its beginning.
char32_t previous_character(std::string_view text, size_t& end) {
  do end--;
  while ((text[end] & 0xC0) == 0x80);
  const char* at = text.data() + end;
  return unicode::next_character(at);
}

char32_t character_at(std::string_view text, size_t& begin) {
  const char* at = text.data() + begin;
  const char32_t code = unicode::next_character(at);
  begin = at - text.data();
  return code;
}

// The field is a string or an object as in added_tokens_decoder.
AddedToken special_token(const datasets::JsonField& field) {
  if (!field.value().is_object()) return {.content = field.text(), .special = true, .normalized = false};
  return {.content = field["content"].text(),
          .special = true,
          .normalized = field.flag_or("normalized", true),
          .lstrip = field.flag_or("lstrip", false),
          .rstrip = field.flag_or("rstrip", false),
          .single_word = field.flag_or("single_word", false)};
}

}  // namespace

AddedToken read_added_token(const datasets::JsonField& field, int32_t id) {
  return {.content = field["content"].text(),
          .id = id,
          .special = field["special"].flag(),
          .normalized = field["normalized"].flag(),
          .lstrip = field["lstrip"].flag(),
          .rstrip = field["rstrip"].flag(),
          .single_word = field["single_word"].flag()};
}

nlohmann::ordered_json json_of(const AddedToken& token) {
  return {{"id", token.id},          {"content", token.content}, {"single_word", token.single_word},
          {"lstrip", token.lstrip},  {"rstrip", token.rstrip},   {"normalized", token.normalized},
          {"special", token.special}};
}

void append_hashed(std::vector<AddedToken> tokens, nlohmann::json& hashed) {
  std::ranges::sort(tokens, {}, &AddedToken::id);
  for (const auto& token : tokens)
    hashed.push_back({token.content, token.id, token.normalized, token.lstrip, token.rstrip, token.single_word});
}

int32_t AddedTokenIds::add(AddedToken token) {
  const auto [given, is_new] = given_.try_emplace(token.content);
  if (!is_new) return given->second;
  const auto found = ids_.find(token.content);
  token.id = given->second = found != ids_.end() ? found->second : next_++;
  tokens_.push_back(std::move(token));
  return given->second;
}

void add_decoded_tokens(const datasets::JsonField& config, AddedTokenIds& added) {
  const auto decoder = config["added_tokens_decoder"];
  if (decoder.is_null()) return;
  std::map<int32_t, AddedToken> sorted;
  decoder.each_key([&](const std::string& key, const datasets::JsonField& token) {
    const auto id = parse_number<int32_t>(key);
    token.check(id && *id >= 0, "below a key that is an id");
    sorted[*id] = read_added_token(token, *id);
  });
  for (const auto& [id, token] : sorted) {
    const int32_t given = added.add(token);
    require(given == id, "{}: added_tokens_decoder.{} is {}, which would get the id {}", config.file(), id,
            token.content, given);
  }
}

AddedToken read_special_token(const datasets::JsonField& config, const char* key, const char* otherwise) {
  if (!config[key].is_null()) return special_token(config[key]);
  return {.content = otherwise, .special = true, .normalized = false};
}

void add_further_tokens(const datasets::JsonField& config, AddedTokenIds& added) {
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    if (config[key].is_null() || config[key].value().empty()) continue;
    config[key].each([&](const datasets::JsonField& token) { added.add(special_token(token)); });
  }
}

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& patterns)
    : tokens_(std::move(tokens)), trie_(entries(patterns)) {
  for (const auto& pattern : patterns) begins_[static_cast<uint8_t>(pattern[0])] = true;
  if (std::ranges::count(begins_, true) == 1)
    only_ = static_cast<int>(std::ranges::find(begins_, true) - begins_.begin());
}

size_t AddedTokenFinder::candidate(std::string_view text, size_t at) const {
  if (only_ >= 0 && at < text.size()) {
    const void* found = std::memchr(text.data() + at, only_, text.size() - at);
    return found ? static_cast<const char*>(found) - text.data() : text.size();
  }
  while (at < text.size() && !begins_[static_cast<uint8_t>(text[at])]) at++;
  return at;
}

bool AddedTokenFinder::fits(const AddedToken& token, std::string_view text, size_t begin, size_t end) {
  if (!token.single_word) return true;
  return (begin == 0 || !has(previous_character(text, begin), unicode::word)) &&
         (end == text.size() || !has(character_at(text, end), unicode::word));
}

void AddedTokenFinder::extend(const AddedToken& token, std::string_view text, size_t taken, size_t& begin,
                              size_t& end) {
  if (token.lstrip) {
    size_t space = begin;
    for (size_t at = space; at > 0 && has(previous_character(text, at), unicode::whitespace);) space = at;
    begin = std::max(space, taken);
  }
  if (token.rstrip) {
    for (size_t at = end; at < text.size() && has(character_at(text, at), unicode::whitespace);) end = at;
  }
}

}  // namespace sartor::text
