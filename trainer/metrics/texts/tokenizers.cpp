#include "metrics/texts/tokenizers.h"

#include <algorithm>

#include "encodings/unicode.h"
#include "metrics/texts/python_text.h"

namespace sartor::text_metrics {
namespace {

namespace unicode = text::unicode;

bool is_digit(char32_t code) { return code >= '0' && code <= '9'; }

std::u32string replace(std::u32string_view text, std::u32string_view from, std::u32string_view to) {
  std::u32string replaced;
  for (;;) {
    const size_t found = std::min(text.find(from), text.size());
    replaced += text.substr(0, found);
    if (found == text.size()) return replaced;
    replaced += to;
    text.remove_prefix(found + from.size());
  }
}

// Puts spaces around characters.
std::u32string set_apart(std::u32string_view text, const auto& chosen) {
  std::u32string apart;
  apart.reserve(text.size() + text.size() / 4);
  for (const char32_t code : text) {
    chosen(code) ? apart.append({U' ', code, U' '}) : apart.append(1, code);
  }
  return apart;
}

// Puts spaces around one character of each pair, the pairs being found from left to right without overlaps: around the
// second as re.sub("(first)(second)", r"\1 \2 "), around the first as re.sub("(first)(second)", r" \1 \2").
enum class Apart { first, second };
std::u32string set_pairs_apart(std::u32string_view text, const auto& first, const auto& second, Apart which) {
  std::u32string apart;
  apart.reserve(text.size() + text.size() / 4);
  for (size_t at = 0; at < text.size(); at++) {
    const char32_t code = text[at];
    if (at + 1 == text.size() || !first(code) || !second(text[at + 1])) {
      apart += code;
    } else {
      const char32_t next = text[++at];
      which == Apart::first ? apart.append({U' ', code, U' ', next}) : apart.append({code, U' ', next, U' '});
    }
  }
  return apart;
}

// Common last steps of 13a and zh.
Tokens split_ascii_punctuation(std::u32string_view text) {
  const auto separator = [](char32_t c) {
    return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
           (c >= ':' && c <= '@') || c == '/';
  };
  const auto mark = [](char32_t code) { return code == '.' || code == ','; };
  const auto no_digit = [](char32_t code) { return !is_digit(code); };
  auto apart = set_apart(text, separator);
  apart = set_pairs_apart(apart, no_digit, mark, Apart::second);
  apart = set_pairs_apart(apart, mark, no_digit, Apart::first);
  apart = set_pairs_apart(
      apart, is_digit, [](char32_t code) { return code == '-'; }, Apart::second);
  return split(apart);
}

Tokens tokenize_13a(std::u32string_view text) {
  auto line = replace(text, U"<skipped>", U"");
  line = replace(line, U"-\n", U"");
  line = replace(line, U"\n", U" ");
  if (line.find(U'&') != line.npos) {
    for (const auto& [entity, character] :
         {std::pair(U"&quot;", U"\""), std::pair(U"&amp;", U"&"), std::pair(U"&lt;", U"<"), std::pair(U"&gt;", U">")}) {
      line = replace(line, entity, character);
    }
  }
  return split_ascii_punctuation(U" " + line + U" ");
}

// What sacrebleu takes for Chinese. Its range "\u20000" to "\u2a6d6", meant as extension B, compares strings of two
// characters with single ones and is therefore U+2001 to U+2A6D.
bool is_chinese(char32_t code) {
  constexpr char32_t ranges[][2] = {{0x2001, 0x2A6D}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x303F},
                                    {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0x31C0, 0x31EF}, {0x3200, 0x33FF},
                                    {0x3400, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A},
                                    {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF}};
  if (code < ranges[0][0]) return false;
  return std::ranges::any_of(ranges, [&](const auto& range) { return range[0] <= code && code <= range[1]; });
}

bool is_of(char32_t code, uint8_t metric_class) { return unicode::metric_classes(code) & metric_class; }

Tokens tokenize_intl(std::u32string_view text) {
  const auto punctuation = [](char32_t code) { return is_of(code, unicode::general_punctuation); };
  const auto no_number = [](char32_t code) { return !is_of(code, unicode::general_number); };
  auto apart = set_pairs_apart(text, no_number, punctuation, Apart::second);
  apart = set_pairs_apart(apart, punctuation, no_number, Apart::first);
  return split(set_apart(apart, [](char32_t code) { return is_of(code, unicode::symbol); }));
}

Tokens characters_of(std::u32string_view text) {
  Tokens tokens;
  for (const char32_t code : text) {
    if (!is_space(code)) tokens.emplace_back(1, code);
  }
  return tokens;
}

Tokens tokenize_rouge(std::u32string_view text) {
  auto lower = lowercase(text);
  std::ranges::replace_if(
      lower, [](char32_t code) { return !is_digit(code) && !(code >= 'a' && code <= 'z'); }, U' ');
  return split(lower);
}

}  // namespace

Tokens tokenize(Tokenizer tokenizer, std::u32string_view text) {
  switch (tokenizer) {
    case Tokenizer::none:
      return split(text);
    case Tokenizer::mteval_13a:
      return tokenize_13a(strip_end(text));
    case Tokenizer::zh:
      return split_ascii_punctuation(set_apart(strip(text), is_chinese));
    case Tokenizer::characters:
      return characters_of(text);
    case Tokenizer::intl:
      return tokenize_intl(strip_end(text));
    case Tokenizer::rouge:
      return tokenize_rouge(text);
  }
  return {};
}

}  // namespace sartor::text_metrics
