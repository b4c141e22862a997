#include "text/tokenizers/parts/byte_split.h"

#include <array>

#include "encodings/code_point_table.h"
#include "encodings/unicode.h"

namespace sartor::text {
namespace {

using unicode::digit;
using unicode::letter;
using unicode::number;
using unicode::space;
constexpr uint8_t other = 0, kinds = letter | number | space;

const unicode::CodePointTable& classes() {
  static const unicode::CodePointTable table(
      [runs = unicode::split_class_runs(), run = size_t{0}](char32_t code) mutable {
        while (run + 1 < runs.size() && runs[run + 1] >> 8 <= code) run++;
        return static_cast<uint8_t>(runs[run]);
      });
  return table;
}

constexpr auto ascii_classes = [] {
  std::array<uint8_t, 128> made = {};
  for (char c = 'a'; c <= 'z'; c++) made[c] = made[c - 'a' + 'A'] = letter;
  for (char c = '0'; c <= '9'; c++) made[c] = number | digit;
  for (const char c : {'\t', '\n', '\v', '\f', '\r', ' '}) made[c] = space;
  return made;
}();

// Reads characters and their classes from left to right.
class Scanner {
 public:
  Scanner(std::string_view text, size_t at)
      : table_(classes()), begin_(text.data() + at), end_(text.data() + text.size()) {}

  const char* begin() const { return begin_; }
  bool ends(const char* at) const { return at == end_; }
  size_t left(const char* at) const { return static_cast<size_t>(end_ - at); }

  // The class of the character at `at`, which is moved past it.
  uint8_t next(const char*& at) const {
    const auto byte = static_cast<uint8_t>(*at);
    if (byte < 128) {
      at++;
      return ascii_classes[byte];
    }
    return table_[unicode::next_character(at)];
  }
  uint8_t peek(const char* at) const { return next(at); }

  // End of the characters from `at` on whose class, within `mask`, is `kind`.
  const char* run(const char* at, uint8_t kind, uint8_t mask = kinds) const {
    while (at < end_) {
      const char* behind = at;
      if ((next(behind) & mask) != kind) break;
      at = behind;
    }
    return at;
  }

 private:
  const unicode::CodePointTable& table_;
  const char *begin_, *end_;
};

constexpr char lowercase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Length of the contraction at an apostrophe: 's 't 're 've 'm 'll 'd; 0 if there is none. The long s is the only
// character besides ASCII that is equal to one of these letters if case is ignored.
template <bool ignore_case> size_t contraction(const Scanner& scan, const char* at) {
  const auto letter_at = [&](size_t i) { return ignore_case ? lowercase(at[i]) : at[i]; };
  if (scan.left(at) < 2) return 0;
  const char first = letter_at(1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if (scan.left(at) < 3) return 0;
  if ((first == 'r' || first == 'v') && letter_at(2) == 'e') return 3;
  if (first == 'l' && letter_at(2) == 'l') return 3;
  return ignore_case && at[1] == '\xC5' && at[2] == '\xBF' ? 3 : 0;
}

// End of \s+(?!\S)|\s+ at `at`: all whitespace except the last character, unless that is the only one or the text ends.
const char* whitespace(const char* at, bool until_end, const char* end, const char* last) {
  return until_end || last == at ? end : last;
}

template <bool digits> const char* gpt2(const Scanner& scan) {
  // A digit ends the text before it for Digits.
  constexpr uint8_t mask = digits ? kinds | digit : kinds;
  const char *const begin = scan.begin(), *at = begin;
  if (*begin == '\'') {
    if (const size_t size = contraction<false>(scan, begin)) return begin + size;
  }
  uint8_t kind = scan.next(at) & mask;
  if (digits && kind & digit) return at;
  if (*begin == ' ' && !scan.ends(at)) {
    const char* behind = at;
    const uint8_t second = scan.next(behind) & mask;
    if (second != space && !(second & digit)) {
      at = behind;
      kind = second;
    }
  }
  if (kind != space) return scan.run(at, kind, mask);
  const char* last = begin;
  bool stopped = true;  // at the end of the text
  while (!scan.ends(at)) {
    const char* behind = at;
    const uint8_t next = scan.next(behind) & mask;
    if (next != space) {
      stopped = next & digit;
      break;
    }
    last = at;
    at = behind;
  }
  return whitespace(begin, stopped, at, last);
}

constexpr bool is_line_break(char c) { return c == '\r' || c == '\n'; }

// Whitespace that is not followed by another alternative: \s*[\r\n]+|\s+(?!\S)|\s+
const char* blanks(const Scanner& scan) {
  const char *const begin = scan.begin(), *at = begin, *last = begin, *line = nullptr;
  while (!scan.ends(at)) {
    const char* behind = at;
    if (scan.next(behind) != space) break;
    if (is_line_break(*at)) line = behind;
    last = at;
    at = behind;
  }
  return line ? line : whitespace(begin, scan.ends(at), at, last);
}

template <int most_digits> const char* llama3(const Scanner& scan) {
  const char *const begin = scan.begin(), *at = begin;
  if (*begin == '\'') {
    if (const size_t size = contraction<true>(scan, begin)) return begin + size;
  }
  const uint8_t kind = scan.next(at) & kinds;
  if (kind == letter) return scan.run(at, letter);
  if (kind == number) {
    for (int i = 1; i < most_digits && !scan.ends(at); i++) {
      const char* behind = at;
      if (!(scan.next(behind) & number)) break;
      at = behind;
    }
    return at;
  }
  const uint8_t second = scan.ends(at) ? space : scan.peek(at) & kinds;
  if (second == letter && !is_line_break(*begin)) return scan.run(at, letter);
  if (kind == other || (*begin == ' ' && second == other)) {
    at = scan.run(at, other);
    while (!scan.ends(at) && is_line_break(*at)) at++;
    return at;
  }
  return blanks(scan);
}

const char* next(SplitPattern pattern, const Scanner& scan, std::string_view text) {
  switch (pattern) {
    case SplitPattern::gpt2:
      return gpt2<false>(scan);
    case SplitPattern::digits:
      return gpt2<true>(scan);
    case SplitPattern::llama3:
      return llama3<3>(scan);
    case SplitPattern::qwen2:
      return llama3<1>(scan);
    case SplitPattern::none:
      break;
  }
  return text.data() + text.size();
}

}  // namespace

std::string_view regular_expression(SplitPattern pattern) {
  switch (pattern) {
    case SplitPattern::gpt2:
      return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
    case SplitPattern::llama3:
      return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    case SplitPattern::qwen2:
      return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    default:
      return "";
  }
}

size_t next_split(SplitPattern pattern, std::string_view text, size_t at) {
  return static_cast<size_t>(next(pattern, Scanner(text, at), text) - text.data());
}

}  // namespace sartor::text
