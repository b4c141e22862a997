// Filters of generated texts: length, duplicates, banned and required words.
//
// Words and duplicates are compared after folding: full-width forms of ASCII become ASCII, letters become lower case,
// characters get Unicode normalization form C, control and format characters (such as zero-width spaces) are removed,
// and each run of whitespace becomes one space.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "schema/fields.h"

namespace sartor::inference {

enum class Duplicates { keep, exact, near };

constexpr auto choices(Duplicates) {
  return std::to_array<Choice<Duplicates>>(
      {{"keep", Duplicates::keep}, {"exact", Duplicates::exact}, {"near", Duplicates::near}});
}

// What to do with a variant of which no text passed the filters.
enum class Rejected { write, drop };

constexpr auto choices(Rejected) {
  return std::to_array<Choice<Rejected>>({{"write", Rejected::write}, {"drop", Rejected::drop}});
}

// Replacement of rejected texts.
struct RefillConfig {
  int64_t attempts = 1;
  Rejected rejected = Rejected::write;

  template <class Fields> void describe(Fields& field) {
    field("attempts", attempts, between(1, 1000),
          "Maximum texts to generate per variant: a rejected text is replaced by another one until a text passes.");
    field("rejected", rejected,
          "Variants of which no text passed: write the last text with its verdicts, or drop the variant.");
  }
};

struct FiltersConfig {
  std::optional<int64_t> min_characters, max_characters, min_tokens, max_tokens;
  Duplicates duplicates = Duplicates::keep;
  double near_similarity = 0.8;
  std::vector<std::string> banned_words, required_words;
  RefillConfig refill;

  template <class Fields> void describe(Fields& field) {
    field("min_characters", min_characters, at_least(0),
          "Minimum length of a text in Unicode code points, without whitespace at its ends.");
    field("max_characters", max_characters, at_least(0), "Maximum length of a text in the same unit.");
    field("min_tokens", min_tokens, at_least(0), "Minimum number of generated tokens.");
    field("max_tokens", max_tokens, at_least(0), "Maximum number of generated tokens.");
    field("duplicates", duplicates,
          "exact: reject a text that equals an earlier variant of its row after folding (case, full-width forms and "
          "whitespace do not matter); near: also reject one that is similar to it; keep: reject neither.");
    field("near_similarity", near_similarity, Range{.low = 0, .high = 1, .open = true},
          "near: minimum Jaccard similarity of the sets of character trigrams of two similar texts.");
    field("banned_words", banned_words,
          "Words and phrases that a text must not contain. Case, full-width forms and whitespace do not matter. In "
          "scripts that separate words by spaces, only whole words match.");
    field("required_words", required_words, "Words and phrases that a text must all contain, compared likewise.");
    field("refill", refill, "Replacement of rejected texts.");
  }
  void check() const;
};

// Why a text is rejected.
enum class Verdict {
  too_short,
  too_long,
  too_few_tokens,
  too_many_tokens,
  duplicate,
  near_duplicate,
  banned_word,
  missing_word,
};

constexpr auto choices(Verdict) {
  return std::to_array<Choice<Verdict>>({{"too_short", Verdict::too_short},
                                         {"too_long", Verdict::too_long},
                                         {"too_few_tokens", Verdict::too_few_tokens},
                                         {"too_many_tokens", Verdict::too_many_tokens},
                                         {"duplicate", Verdict::duplicate},
                                         {"near_duplicate", Verdict::near_duplicate},
                                         {"banned_word", Verdict::banned_word},
                                         {"missing_word", Verdict::missing_word}});
}

// The form in which texts are compared, as described above. Invalid UTF-8 is replaced by U+FFFD, which folding removes.
std::string folded(std::string_view text);

// Words and phrases to find in folded texts. In scripts that separate words by spaces, a word is found only where no
// letter or digit of such a script continues it: "art" is in "art, 艺术art艺术" twice, but not in "start".
class WordFinder {
 public:
  explicit WordFinder(const std::vector<std::string>& words);

  int64_t size() const { return std::ssize(words_); }
  int64_t count_found(std::string_view folded_text) const;  // number of distinct words in a text

 private:
  std::vector<std::string> words_;                                // folded, distinct
  std::unordered_map<char32_t, std::vector<size_t>> first_char_;  // words by their first character
};

// Texts of one row that passed.
class KeptTexts {
  friend class TextFilters;
  struct Text {
    std::string folded;
    std::vector<uint64_t> trigrams;  // ascending
  };
  std::vector<Text> texts_;
};

class TextFilters {
 public:
  explicit TextFilters(const FiltersConfig& config);

  // All reasons to reject a text of `tokens` generated tokens, in the order of Verdict; none if it passes, and then it
  // is added to `kept`. To make verdicts independent of the order in which texts are finished, call this in the order
  // of a row's variants. Safe to call from several threads for different rows.
  std::vector<Verdict> judge(std::string_view text, int64_t tokens, KeptTexts& kept) const;

 private:
  std::optional<Verdict> compare(const KeptTexts::Text& text, const KeptTexts& kept) const;

  FiltersConfig config_;
  WordFinder banned_, required_;
};

}  // namespace sartor::inference
