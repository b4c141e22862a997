#include "generation/text_filters.h"

#include <algorithm>

#include "base/utf8.h"
#include "encodings/unicode.h"
#include "text/tokenizers/parts/nfc.h"

namespace sartor::inference {
namespace {

using text::unicode::append_character;
using text::unicode::next_character;
using text::unicode::properties;

constexpr char32_t fullwidth_first = 0xFF01, fullwidth_last = 0xFF5E, fullwidth_offset = 0xFEE0;

// Text as valid UTF-8; `owned` holds it if it had to be changed.
std::string_view valid(std::string_view text, std::string& owned) {
  if (valid_utf8(text) == text.size()) return text;
  return owned = text::unicode::replace_broken(text);
}

int64_t characters_of(std::string_view text) {
  text = text::unicode::without_whitespace_at_end(text);
  const char* at = text.data();
  const char* const end = at + text.size();
  for (const char* next = at; at < end && properties(next_character(next)) & text::unicode::whitespace;) at = next;
  return text::unicode::count_characters({at, end});
}

// Whether a character belongs to a word of a script that separates words by spaces. Chinese, Japanese, Korean and the
// scripts of South-East Asia are not among them.
bool continues_word(char32_t code) {
  const bool spaced = code < 0x0E00 || (code >= 0x1E00 && code < 0x2000) || (code >= 0x2C00 && code < 0x2E00);
  return spaced && properties(code) & text::unicode::word;
}

char32_t character_before(std::string_view text, size_t at) {
  size_t begin = at - 1;
  while ((text[begin] & 0xC0) == 0x80) begin--;
  const char* character = text.data() + begin;
  return next_character(character);
}

char32_t character_at(std::string_view text, size_t at) { return first_character(text.substr(at)).code; }

// Whether both characters around a position between two characters belong to one word.
bool inside_word(std::string_view text, size_t at) {
  return at > 0 && at < text.size() && continues_word(character_before(text, at)) &&
         continues_word(character_at(text, at));
}

// The distinct trigrams of code points, 21 bits each, in ascending order; for shorter texts the text itself.
std::vector<uint64_t> trigrams_of(std::string_view folded_text) {
  std::vector<uint64_t> found;
  uint64_t last = 0;
  const char* at = folded_text.data();
  const char* const end = at + folded_text.size();
  for (int64_t i = 0; at < end; i++) {
    last = (last << 21 | next_character(at)) & ((uint64_t{1} << 63) - 1);
    if (i >= 2 || at == end) found.push_back(last);
  }
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

// Jaccard similarity of two ascending sets.
double similarity(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  size_t common = 0;
  for (auto i = a.begin(), k = b.begin(); i != a.end() && k != b.end();) {
    common += *i == *k;
    *i < *k ? i++ : *k < *i ? k++ : (k++, i++);
  }
  const size_t all = a.size() + b.size() - common;
  return all == 0 ? 1 : static_cast<double>(common) / static_cast<double>(all);
}

void check_words(std::string_view field, const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); i++) {
    require(!folded(words[i]).empty(), "{}[{}] has no character to compare, expected a word", field, i);
  }
}

void check_order(std::string_view unit, const std::optional<int64_t>& least, const std::optional<int64_t>& most) {
  require(!least || !most || *least <= *most, "min_{} {} is above max_{} {}", unit, least.value_or(0), unit,
          most.value_or(0));
}

}  // namespace

void FiltersConfig::check() const {
  check_order("characters", min_characters, max_characters);
  check_order("tokens", min_tokens, max_tokens);
  check_words("banned_words", banned_words);
  check_words("required_words", required_words);
  const WordFinder banned(banned_words);
  for (const auto& word : required_words) {
    require(banned.count_found(folded(word)) == 0, "required_words has {}, which contains a banned word", word);
  }
}

std::string folded(std::string_view text) {
  std::string owned, found;
  text = valid(text, owned);
  bool space = false;
  for (const char *at = text.data(), *const end = at + text.size(); at < end;) {
    char32_t code = next_character(at);
    if (code >= fullwidth_first && code <= fullwidth_last) code -= fullwidth_offset;
    const auto kind = properties(code);
    if (kind & text::unicode::whitespace) {
      space = true;
    } else if (!(kind & text::unicode::control)) {
      if (space && !found.empty()) found += ' ';
      space = false;
      const auto lower = text::unicode::lowercase(code);
      for (const auto each : lower.span()) append_character(found, each);
    }
  }
  return text::is_surely_nfc(found) ? found : text::nfc(found, 0).text;
}

WordFinder::WordFinder(const std::vector<std::string>& words) {
  for (const auto& word : words) words_.push_back(folded(word));
  std::ranges::sort(words_);
  words_.erase(std::unique(words_.begin(), words_.end()), words_.end());
  for (size_t i = 0; i < words_.size(); i++) first_char_[character_at(words_[i], 0)].push_back(i);
}

int64_t WordFinder::count_found(std::string_view folded_text) const {
  if (words_.empty()) return 0;
  std::vector<bool> found(words_.size());
  for (size_t at = 0; at < folded_text.size();) {
    const auto [code, bytes] = first_character(folded_text.substr(at));
    const auto candidates = first_char_.find(code);
    if (candidates != first_char_.end() && !inside_word(folded_text, at)) {
      for (const size_t word : candidates->second) {
        const auto& expected = words_[word];
        if (folded_text.substr(at, expected.size()) == expected && !inside_word(folded_text, at + expected.size())) {
          found[word] = true;
        }
      }
    }
    at += bytes;
  }
  return std::ranges::count(found, true);
}

TextFilters::TextFilters(const FiltersConfig& config)
    : config_(config), banned_(config.banned_words), required_(config.required_words) {}

std::vector<Verdict> TextFilters::judge(std::string_view text, int64_t tokens, KeptTexts& kept) const {
  std::string owned;
  const int64_t characters = characters_of(valid(text, owned));
  KeptTexts::Text compared = {folded(text), {}};
  if (config_.duplicates == Duplicates::near) compared.trigrams = trigrams_of(compared.folded);

  std::vector<Verdict> verdicts;
  const auto reject = [&](bool fails, Verdict verdict) {
    if (fails) verdicts.push_back(verdict);
  };
  reject(config_.min_characters && characters < *config_.min_characters, Verdict::too_short);
  reject(config_.max_characters && characters > *config_.max_characters, Verdict::too_long);
  reject(config_.min_tokens && tokens < *config_.min_tokens, Verdict::too_few_tokens);
  reject(config_.max_tokens && tokens > *config_.max_tokens, Verdict::too_many_tokens);
  if (const auto repeated = compare(compared, kept)) verdicts.push_back(*repeated);
  reject(banned_.count_found(compared.folded) > 0, Verdict::banned_word);
  reject(required_.count_found(compared.folded) < required_.size(), Verdict::missing_word);
  if (verdicts.empty() && config_.duplicates != Duplicates::keep) kept.texts_.push_back(std::move(compared));
  return verdicts;
}

std::optional<Verdict> TextFilters::compare(const KeptTexts::Text& text, const KeptTexts& kept) const {
  if (std::ranges::find(kept.texts_, text.folded, &KeptTexts::Text::folded) != kept.texts_.end()) {
    return Verdict::duplicate;
  }
  const bool near =
      config_.duplicates == Duplicates::near && std::ranges::any_of(kept.texts_, [&](const KeptTexts::Text& each) {
        return similarity(each.trigrams, text.trigrams) >= config_.near_similarity;
      });
  return near ? std::optional(Verdict::near_duplicate) : std::nullopt;
}

}  // namespace sartor::inference
