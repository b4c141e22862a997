#include "text/tokenizers/parts/nfc.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "encodings/code_point_table.h"
#include "encodings/unicode.h"

namespace sartor::text {
namespace {

using unicode::hangul_first;
using unicode::hangul_last;
constexpr char32_t leading_first = 0x1100, vowel_first = 0x1161, trailing_before = 0x11A7;
constexpr char32_t leadings = 19, vowels = 21, trailings = 28;  // trailings: includes "no trailing consonant"

class Tables {
 public:
  enum Flag : uint8_t {
    joins = 1,    // may combine with the character before it, or change its place
    changes = 2,  // changes even if it is alone
  };

  Tables() : flags_(flags()) {
    const auto triples = unicode::compositions();
    for (size_t i = 0; i < triples.size(); i += 3) composed_[key(triples[i], triples[i + 1])] = triples[i + 2];
    for (uint32_t lead = 0xC2; lead < 0xF5; lead++) inert_[lead] = is_inert(lead);
    std::fill_n(inert_.begin(), 0x80, true);
  }

  uint8_t flags(char32_t code) const { return flags_[code]; }
  // Whether all characters whose UTF-8 begins with this byte have no flags.
  bool inert(char byte) const { return inert_[static_cast<uint8_t>(byte)]; }

  std::optional<char32_t> compose(char32_t first, char32_t second) const {
    if (first - leading_first < leadings && second - vowel_first < vowels)
      return hangul_first + ((first - leading_first) * vowels + (second - vowel_first)) * trailings;
    if (first >= hangul_first && first <= hangul_last && (first - hangul_first) % trailings == 0 &&
        second > trailing_before && second < trailing_before + trailings)
      return first + (second - trailing_before);
    const auto found = composed_.find(key(first, second));
    return found != composed_.end() ? std::optional(found->second) : std::nullopt;
  }

 private:
  static uint64_t key(char32_t first, char32_t second) { return uint64_t{first} << 32 | second; }

  static unicode::CodePointTable flags() {
    std::unordered_set<char32_t> seconds, composites;
    const auto triples = unicode::compositions();
    for (size_t i = 0; i < triples.size(); i += 3) {
      seconds.insert(triples[i + 1]);
      composites.insert(triples[i + 2]);
    }
    const auto changing = [&](char32_t code) {
      if (code >= hangul_first && code <= hangul_last) return false;
      return unicode::decomposition(code).codes[0] != code && !composites.contains(code);
    };
    return unicode::CodePointTable([&](char32_t code) -> uint8_t {
      const auto decomposed = unicode::decomposition(code);
      const bool hangul = code - vowel_first < vowels || (code > trailing_before && code < trailing_before + trailings);
      const bool joining = hangul || seconds.contains(code) || unicode::combining_class(decomposed.codes[0]) > 0;
      return (joining ? joins : 0) | (changing(code) ? changes : 0);
    });
  }

  bool is_inert(uint32_t lead) const {
    const int bits = lead < 0xE0 ? 6 : lead < 0xF0 ? 12 : 18;
    const char32_t first = (lead & (lead < 0xE0 ? 0x1F : lead < 0xF0 ? 0x0F : 0x07)) << bits;
    for (char32_t code = first; code < std::min<char32_t>(first + (1 << bits), 0x110000); code++) {
      if (flags_[code] != 0) return false;
    }
    return true;
  }

  unicode::CodePointTable flags_;
  std::array<bool, 256> inert_ = {};
  std::unordered_map<uint64_t, char32_t> composed_;
};

const Tables& tables() {
  static const Tables made;
  return made;
}

// A code point and its effect on the position in the text: 1 if it is inserted, 0 if it replaces one character, -n if
// it replaces n + 1 characters.
struct Element {
  char32_t code;
  uint8_t combining_class;
  int change;
};

// Canonical decomposition in canonical order.
std::vector<Element> decompose(std::string_view text) {
  std::vector<Element> elements;
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    const auto decomposed = unicode::decomposition(unicode::next_character(at));
    for (int i = 0; i < decomposed.size; i++)
      elements.push_back({decomposed.codes[i], unicode::combining_class(decomposed.codes[i]), i > 0});
  }
  const auto is_starter = [](const Element& each) { return each.combining_class == 0; };
  for (auto at = elements.begin(); at != elements.end();) {
    at = std::find_if_not(at, elements.end(), is_starter);
    const auto end = std::find_if(at, elements.end(), is_starter);
    std::stable_sort(at, end, [](const auto& a, const auto& b) { return a.combining_class < b.combining_class; });
    at = end;
  }
  return elements;
}

// Canonical composition (Unicode Standard Annex 15): each character combines with the last starter unless a character
// of the same or a higher combining class between them did not.
std::vector<Element> compose(const std::vector<Element>& elements) {
  std::vector<Element> made;
  ptrdiff_t starter = -1;
  int last = -1;  // combining class of the last character behind the starter; -1: there is none
  for (const auto& each : elements) {
    const int combining_class = each.combining_class;
    if (starter >= 0 && last < combining_class) {
      Element& before = made[starter];
      if (const auto composed = tables().compose(before.code, each.code)) {
        before.code = *composed;
        before.change += each.change - 1;
        continue;
      }
    }
    if (combining_class == 0) starter = std::ssize(made);
    if (starter >= 0) last = combining_class == 0 ? -1 : combining_class;
    made.push_back(each);
  }
  return made;
}

// Appends the normalized form of a segment that does not interact with its surroundings. Returns its number of
// characters.
uint32_t append_segment(std::string_view segment, uint32_t position, NormalizedText& normalized) {
  int at = 0;
  for (const auto& [code, combining_class, change] : compose(decompose(segment))) {
    unicode::append_character(normalized.text, code);
    normalized.origins.push_back(position + (change > 0 ? std::max(at - 1, 0) : at));
    if (change <= 0) at += 1 - change;
  }
  return static_cast<uint32_t>(unicode::count_characters(segment));
}

}  // namespace

bool is_surely_nfc(std::string_view text) {
  const Tables& known = tables();
  const char *at = text.data(), *const end = at + text.size();
  while (at < end) {
    for (uint64_t eight; end - at >= 8; at += 8) {
      std::memcpy(&eight, at, sizeof(eight));
      if (eight & 0x8080808080808080) break;
    }
    if (at == end) break;
    if (known.inert(*at)) {
      do at++;
      while (at < end && (*at & 0xC0) == 0x80);
    } else if (known.flags(unicode::next_character(at)) != 0) {
      return false;
    }
  }
  return true;
}

NormalizedText nfc(std::string_view text, uint32_t first) {
  const Tables& known = tables();
  NormalizedText normalized;
  normalized.text.reserve(text.size());
  for (const char *at = text.data(), *const end = at + text.size(); at < end;) {
    const char* const begin = at;
    bool alone = !(known.flags(unicode::next_character(at)) & Tables::changes);
    for (const char* behind = at; at < end; at = behind) {
      if (!(known.flags(unicode::next_character(behind)) & Tables::joins)) break;
      alone = false;
    }
    const std::string_view segment(begin, at);
    if (alone) {
      normalized.text += segment;
      normalized.origins.push_back(first++);
    } else {
      first += append_segment(segment, first, normalized);
    }
  }
  return normalized;
}

}  // namespace sartor::text
