// Added tokens, such as [MASK] or <url>, which are found before the text is split into words: the field "added_tokens"
// of tokenizer.json.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizers/parts/byte_trie.h"

namespace sartor::datasets {
class JsonField;
}

namespace sartor::text {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false;      // decode() can remove it
  bool normalized = true;    // matches in normalized text, after normalization of the token itself
  bool lstrip = false;       // includes the whitespace before it
  bool rstrip = false;       // includes the whitespace after it
  bool single_word = false;  // does not match next to a letter, digit, mark or connector

  bool operator==(const AddedToken&) const = default;
};

// Reads all fields except the id, which not all files store with the token.
AddedToken read_added_token(const datasets::JsonField& field, int32_t id);
nlohmann::ordered_json json_of(const AddedToken& token);

// Appends everything that determines token ids, independent of the order of `tokens`.
void append_hashed(std::vector<AddedToken> tokens, nlohmann::json& hashed);

// Assigns ids to added tokens in the same way as transformers: the id in the vocabulary, or the next free id after it.
class AddedTokenIds {
 public:
  // `vocabulary` is a range of tokens with `text` and `id`, which must outlive this object.
  template <class Vocabulary> explicit AddedTokenIds(const Vocabulary& vocabulary)
      : next_(static_cast<int32_t>(vocabulary.size())) {
    for (const auto& [text, id] : vocabulary) ids_[text] = id;
  }

  // Adds the token unless one with the same content exists. Returns its id.
  int32_t add(AddedToken token);
  std::vector<AddedToken> take() { return std::move(tokens_); }

 private:
  std::map<std::string_view, int32_t> ids_;
  int32_t next_;
  std::map<std::string, int32_t> given_;
  std::vector<AddedToken> tokens_;
};

// Tokens in a tokenizer_config.json: those of added_tokens_decoder, a map from ids to objects, which must have these
// ids; the special token of a key, `otherwise` if it is missing or null (empty content means no token); and those of
// additional_special_tokens and extra_special_tokens.
void add_decoded_tokens(const datasets::JsonField& config, AddedTokenIds& added);
AddedToken read_special_token(const datasets::JsonField& config, const char* key, const char* otherwise);
void add_further_tokens(const datasets::JsonField& config, AddedTokenIds& added);

// Finds non-overlapping tokens from left to right; the longest one at each position.
class AddedTokenFinder {
 public:
  // `patterns` are the strings to find, one per token, distinct and not empty.
  AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& patterns);

  bool empty() const { return tokens_.empty(); }

  // Calls found(token, begin, end) for each match with its byte range, until it returns false. Matches can overlap if a
  // token with rstrip is followed by a token that begins with whitespace, as in Hugging Face's library.
  template <class Found> void find(std::string_view text, Found&& found) const {
    size_t taken = 0;  // end of the last match
    for (size_t at = candidate(text, 0); at < text.size(); at = candidate(text, at)) {
      const auto match = trie_.longest(trie_.root(), text.substr(at));
      if (match.value < 0) {
        at++;
        continue;
      }
      const AddedToken& token = tokens_[match.value];
      size_t begin = at, end = at + match.size;
      at = end;
      if (!fits(token, text, begin, end)) continue;
      extend(token, text, taken, begin, end);
      taken = end;
      if (!found(token, begin, end)) return;
    }
  }

 private:
  size_t candidate(std::string_view text, size_t at) const;
  static bool fits(const AddedToken& token, std::string_view text, size_t begin, size_t end);
  static void extend(const AddedToken& token, std::string_view text, size_t taken, size_t& begin, size_t& end);

  std::vector<AddedToken> tokens_;
  ByteTrie trie_;
  std::array<bool, 256> begins_ = {};
  int only_ = -1;  // the common first byte of all patterns; -1 if they differ
};

}  // namespace sartor::text
