#include "text/tokenizers/tokenizer_spec.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/require.h"
#include "base/utf8.h"
#include "storage/sha256.h"

namespace sartor::text {
namespace {

using ByText = std::vector<std::pair<std::string_view, int32_t>>;
using ById = std::vector<std::pair<int32_t, std::string_view>>;

const ModelSpec& interface_of(const ModelSpec& model) { return model; }
const ModelSpec& interface_of(const std::shared_ptr<const ModelSpec>& model) { return *model; }

template <class Sorted, class Key> auto find(const Sorted& sorted, const Key& key) {
  const auto found = std::ranges::lower_bound(sorted, key, {}, [](const auto& each) { return each.first; });
  return found != sorted.end() && found->first == key ? found : sorted.end();
}

void check_vocabulary(const ByText& by_text, const ById& by_id) {
  for (size_t i = 1; i < by_text.size(); i++) {
    require(by_text[i - 1].first != by_text[i].first, "vocabulary: {} occurs twice", by_text[i].first);
    require(by_id[i - 1].first != by_id[i].first, "vocabulary: {} and {} have the id {}", by_id[i - 1].second,
            by_id[i].second, by_id[i].first);
  }
}

// Ids of added tokens must be those that Hugging Face's library assigns: the id in the vocabulary or the next free id.
void check_added(const std::vector<AddedToken>& tokens, const ByText& by_text, const ById& by_id) {
  std::set<std::string_view> seen;
  auto next = static_cast<int64_t>(by_text.size());
  for (const auto& [content, id, special, normalized, lstrip, rstrip, single_word] : tokens) {
    require(!content.empty(), "added token with the id {}: its content is empty", id);
    require(valid_utf8(content) == content.size(), "added token with the id {}: its content is not UTF-8", id);
    require(seen.insert(content).second, "added token {} occurs twice", content);
    const auto found = find(by_text, std::string_view(content));
    const bool has = found != by_text.end();
    const int64_t expected = has ? found->second : next++;
    require(id == expected, "added token {} has the id {}, expected {}: {}", content, id, expected,
            has ? "its id in the vocabulary" : "the next free id");
    require(has || find(by_id, id) == by_id.end(), "added token {} has the id {} of a token in the vocabulary", content,
            id);
  }
}

}  // namespace

const ModelSpec& model_of(const TokenizerSpec& spec) {
  return std::visit([](const auto& model) -> const ModelSpec& { return interface_of(model); }, spec.model);
}

std::optional<int32_t> unknown_id(const TokenizerSpec& spec) {
  const auto token = model_of(spec).unknown_token();
  if (!token) return std::nullopt;
  const auto found = std::ranges::find(spec.vocabulary, *token, &TokenizerSpec::Token::text);
  return found != spec.vocabulary.end() ? std::optional(found->id) : std::nullopt;
}

std::string hash_of(const TokenizerSpec& spec) {
  using Json = nlohmann::json;
  auto hashed = Json::array();
  model_of(spec).append_hashed(hashed);
  append_hashed(spec.normalizer, hashed);
  append_hashed(spec.pre_tokenizer, hashed);
  auto vocabulary = Json::object();
  for (const auto& [text, id] : spec.vocabulary) vocabulary[text] = id;
  hashed.push_back(std::move(vocabulary));
  append_hashed(spec.added_tokens, hashed);
  append_hashed(spec.post_processor, hashed);
  return datasets::sha256(hashed.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void check(const TokenizerSpec& spec) {
  require(!spec.vocabulary.empty(), "the vocabulary is empty");
  ByText by_text;
  ById by_id;
  for (const auto& [text, id] : spec.vocabulary) {
    require(valid_utf8(text) == text.size(), "vocabulary: the token with the id {} is not UTF-8", id);
    require(id >= 0, "vocabulary: {} has the id {}, expected 0 or more", text, id);
    by_text.emplace_back(text, id);
    by_id.emplace_back(id, text);
  }
  std::ranges::sort(by_text);
  std::ranges::sort(by_id);
  check_vocabulary(by_text, by_id);
  check_added(spec.added_tokens, by_text, by_id);
  check(spec.post_processor);
}

}  // namespace sartor::text
