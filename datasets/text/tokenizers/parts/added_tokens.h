// Added tokens, such as [MASK] or <url>, which are found before the text is split into words: the field "added_tokens"
// of tokenizer.json.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
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
