// Tokens that are found in a text before it is cut into words: [MASK], <url>, the names of products. The field
// "added_tokens" of tokenizer.json.
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
  bool special = false;      // decode() may leave it out
  bool normalized = true;    // looked for in normalised text, by its own normalised form
  bool lstrip = false;       // takes the whitespace before it
  bool rstrip = false;       // takes the whitespace behind it
  bool single_word = false;  // not where a letter, digit, mark or connector stands beside it

  bool operator==(const AddedToken&) const = default;
};

// All but its id, which not every file has beside the token.
AddedToken read_added_token(const datasets::JsonField& field, int32_t id);
nlohmann::ordered_json json_of(const AddedToken& token);

// Adds what decides the ids of a text to a list, whatever the order of the tokens.
void append_hashed(std::vector<AddedToken> tokens, nlohmann::json& hashed);

// Finds tokens from left to right, at each place the longest, and the next behind it.
class AddedTokenFinder {
 public:
  // By `patterns`, one a token, which differ and are not empty.
  AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& patterns);

  bool empty() const { return tokens_.empty(); }

  // Calls found(token, begin, end) for each, with the bytes that it takes, until it returns false. A token with rstrip
  // may take whitespace that the next one begins with: then they overlap, as in Hugging Face's library.
  template <class Found> void find(std::string_view text, Found&& found) const {
    size_t taken = 0;  // up to the end of the last token
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
  int only_ = -1;  // the byte that all patterns begin with, if it is one
};

}  // namespace sartor::text
