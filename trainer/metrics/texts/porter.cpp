#include "metrics/texts/porter.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

namespace sartor::text_metrics {
namespace {

using Stem = std::string_view;
using Condition = bool (*)(Stem);

// For each letter whether it is a consonant: not a, e, i, o, u, and y only at the beginning or after a vowel.
std::vector<bool> consonants(Stem word) {
  std::vector<bool> found;
  for (const char letter : word) {
    const bool vowel = Stem("aeiou").find(letter) != Stem::npos;
    found.push_back(letter == 'y' ? found.empty() || !found.back() : !vowel);
  }
  return found;
}

// Number of changes from vowels to consonants: m of [C](VC)^m[V].
int measure(Stem stem) {
  const auto consonant = consonants(stem);
  int changes = 0;
  for (size_t i = 1; i < consonant.size(); i++) changes += !consonant[i - 1] && consonant[i];
  return changes;
}

bool above_0(Stem stem) { return measure(stem) > 0; }
bool above_1(Stem stem) { return measure(stem) > 1; }
bool always(Stem) { return true; }

bool has_vowel(Stem stem) {
  const auto consonant = consonants(stem);
  return std::ranges::find(consonant, false) != consonant.end();
}

bool ends_in_consonant(Stem word) { return !word.empty() && consonants(word).back(); }

bool ends_in_double_consonant(Stem word) {
  return word.size() >= 2 && word.back() == word[word.size() - 2] && ends_in_consonant(word);
}

// Ends in consonant, vowel, consonant, the last not w, x or y; or is a vowel and a consonant.
bool ends_short(Stem word) {
  const auto consonant = consonants(word);
  const size_t size = word.size();
  if (size == 2) return !consonant[0] && consonant[1];
  return size >= 3 && consonant[size - 3] && !consonant[size - 2] && consonant[size - 1] &&
         Stem("wxy").find(word.back()) == Stem::npos;
}

// Replacement of a suffix, if the rest fulfils the condition.
struct Rule {
  Stem suffix, replacement;
  Condition holds = always;
};

// Applies the first rule whose suffix the word has. If its condition does not hold, the word stays as it is.
std::string apply(std::string word, std::initializer_list<Rule> rules) {
  for (const auto& [suffix, replacement, holds] : rules) {
    if (!word.ends_with(suffix)) continue;
    if (holds(Stem(word).substr(0, word.size() - suffix.size()))) {
      word.replace(word.size() - suffix.size(), suffix.size(), replacement);
    }
    break;
  }
  return word;
}

// Plurals.
std::string step_1a(std::string word) {
  if (word.size() == 4 && word.ends_with("ies")) return apply(word, {{"ies", "ie"}});
  return apply(word, {{"sses", "ss"}, {"ies", "i"}, {"ss", "ss"}, {"s", ""}});
}

// Gives the rest of a word in -ed or -ing the end of a stem.
std::string repair(std::string word) {
  if (word.ends_with("at") || word.ends_with("bl") || word.ends_with("iz")) return word + "e";
  if (ends_in_double_consonant(word)) {
    if (Stem("lsz").find(word.back()) == Stem::npos) word.pop_back();
    return word;
  }
  return measure(word) == 1 && ends_short(word) ? word + "e" : word;
}

// Past tense and participles.
std::string step_1b(std::string word) {
  if (word.ends_with("ied")) return apply(word, {{"ied", word.size() == 4 ? "ie" : "i"}});
  if (word.ends_with("eed")) return apply(word, {{"eed", "ee", above_0}});
  for (const Stem suffix : {"ed", "ing"}) {
    if (!word.ends_with(suffix)) continue;
    const auto rest = word.substr(0, word.size() - suffix.size());
    if (has_vowel(rest)) return repair(rest);
  }
  return word;
}

std::string step_1c(std::string word) {
  return apply(word, {{"y", "i", [](Stem stem) { return stem.size() > 1 && ends_in_consonant(stem); }}});
}

std::string step_2(std::string word) {
  if (word.ends_with("alli") && above_0(Stem(word).substr(0, word.size() - 4))) {
    return step_2(word.substr(0, word.size() - 2));
  }
  return apply(
      word, {{"ational", "ate", above_0}, {"tional", "tion", above_0},
             {"enci", "ence", above_0},   {"anci", "ance", above_0},
             {"izer", "ize", above_0},    {"bli", "ble", above_0},
             {"alli", "al", above_0},     {"entli", "ent", above_0},
             {"eli", "e", above_0},       {"ousli", "ous", above_0},
             {"ization", "ize", above_0}, {"ation", "ate", above_0},
             {"ator", "ate", above_0},    {"alism", "al", above_0},
             {"iveness", "ive", above_0}, {"fulness", "ful", above_0},
             {"ousness", "ous", above_0}, {"aliti", "al", above_0},
             {"iviti", "ive", above_0},   {"biliti", "ble", above_0},
             {"fulli", "ful", above_0},   {"logi", "log", [](Stem stem) { return above_0(std::string(stem) + "l"); }}});
}

std::string step_3(std::string word) {
  return apply(word, {{"icate", "ic", above_0},
                      {"ative", "", above_0},
                      {"alize", "al", above_0},
                      {"iciti", "ic", above_0},
                      {"ical", "ic", above_0},
                      {"ful", "", above_0},
                      {"ness", "", above_0}});
}

std::string step_4(std::string word) {
  constexpr Condition after_s_or_t = [](Stem stem) {
    return above_1(stem) && (stem.back() == 's' || stem.back() == 't');
  };
  return apply(word, {{"al", "", above_1},
                      {"ance", "", above_1},
                      {"ence", "", above_1},
                      {"er", "", above_1},
                      {"ic", "", above_1},
                      {"able", "", above_1},
                      {"ible", "", above_1},
                      {"ant", "", above_1},
                      {"ement", "", above_1},
                      {"ment", "", above_1},
                      {"ent", "", above_1},
                      {"ion", "", after_s_or_t},
                      {"ou", "", above_1},
                      {"ism", "", above_1},
                      {"ate", "", above_1},
                      {"iti", "", above_1},
                      {"ous", "", above_1},
                      {"ive", "", above_1},
                      {"ize", "", above_1}});
}

std::string step_5(std::string word) {
  word = apply(word, {{"e", "", [](Stem stem) {
                         const int m = measure(stem);
                         return m > 1 || (m == 1 && !ends_short(stem));
                       }}});
  return apply(word, {{"ll", "l", [](Stem stem) { return above_1(std::string(stem) + "l"); }}});
}

}  // namespace

std::string porter_stem(std::string word) {
  constexpr std::pair<Stem, Stem> irregular[] = {
      {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},        {"lying", "lie"},
      {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
      {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
      {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"}};
  const auto* const found = std::ranges::find(irregular, Stem(word), &std::pair<Stem, Stem>::first);
  if (found != std::end(irregular)) return std::string(found->second);
  if (word.size() <= 2) return word;
  return step_5(step_4(step_3(step_2(step_1c(step_1b(step_1a(std::move(word))))))));
}

}  // namespace sartor::text_metrics
