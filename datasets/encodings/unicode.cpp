#include "encodings/unicode.h"

#include <algorithm>

#include "base/utf8.h"

namespace sartor::text::unicode {
namespace {

constexpr char32_t leading_first = 0x1100, vowel_first = 0x1161, trailing_before = 0x11A7;
constexpr char32_t vowels = 21, trailings = 28;  // choices per syllable; "no trailing consonant" counts as one

uint8_t value_at(std::span<const uint32_t> runs, char32_t code) {
  const auto behind = std::ranges::upper_bound(runs, code, {}, [](uint32_t run) { return run >> 8; });
  return behind == runs.begin() ? 0 : static_cast<uint8_t>(behind[-1]);
}

// Binary search over sequences of different lengths: steps back from the middle to a head, whose top byte is not 0.
std::span<const uint32_t> sequence_of(std::span<const uint32_t> sequences, char32_t code) {
  size_t low = 0, high = sequences.size();
  while (low < high) {
    size_t head = (low + high) / 2;
    while (sequences[head] >> 24 == 0) head--;
    const char32_t found = sequences[head] & 0xFFFFFF;
    const size_t behind = head + 1 + (sequences[head] >> 24);
    if (found == code) return sequences.subspan(head + 1, sequences[head] >> 24);
    found < code ? low = behind : high = head;
  }
  return {};
}

Codes copy(std::span<const uint32_t> codes) {
  Codes copied = {{}, static_cast<int>(codes.size())};
  std::ranges::copy(codes, copied.codes);
  return copied;
}

// The longest prefix of a text that is the beginning of a character of `whole` bytes; empty if there is none.
struct BegunCharacter {
  size_t bytes, whole;
};
BegunCharacter begun_character(std::string_view text) {
  // Valid continuation bytes, from table 3-7 (well-formed UTF-8 byte sequences) of the Unicode Standard.
  const auto first = static_cast<uint8_t>(text[0]);
  const size_t whole = first < 0x80                    ? 1
                       : first >= 0xC2 && first < 0xE0 ? 2
                       : first >= 0xE0 && first < 0xF0 ? 3
                       : first >= 0xF0 && first < 0xF5 ? 4
                                                       : 0;
  uint8_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  uint8_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (whole == 0) return {0, 0};
  size_t bytes = 1;
  for (; bytes < std::min(whole, text.size()); bytes++) {
    const auto byte = static_cast<uint8_t>(text[bytes]);
    if (byte < least || byte > most) break;
    least = 0x80;
    most = 0xBF;
  }
  return {bytes, whole};
}

}  // namespace

uint8_t properties(char32_t code) { return value_at(property_runs(), code); }
uint8_t combining_class(char32_t code) { return value_at(combining_class_runs(), code); }
uint8_t metric_classes(char32_t code) { return value_at(metric_class_runs(), code); }

std::string_view without_whitespace_at_end(std::string_view text) {
  while (!text.empty()) {
    size_t last = text.size() - 1;
    while (last > 0 && (text[last] & 0xC0) == 0x80) last--;
    const char* at = text.data() + last;
    if (!(properties(next_character(at)) & whitespace)) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

Codes decomposition(char32_t code) {
  if (code >= hangul_first && code <= hangul_last) {
    const char32_t index = code - hangul_first, trailing = index % trailings;
    const char32_t leading = leading_first + index / (vowels * trailings);
    const char32_t vowel = vowel_first + index / trailings % vowels;
    return {{leading, vowel, trailing_before + trailing}, trailing == 0 ? 2 : 3};
  }
  const auto found = sequence_of(decompositions(), code);
  return found.empty() ? Codes{{code}, 1} : copy(found);
}

Codes lowercase(char32_t code) {
  const auto runs = lowercase_runs();
  const auto run = std::ranges::lower_bound(runs, code, {}, [](const LowercaseRun& each) { return each.last; });
  if (run != runs.end() && run->first <= code && (code - run->first) % run->step == 0) {
    return {{static_cast<char32_t>(static_cast<int64_t>(code) + run->difference)}, 1};
  }
  const auto found = sequence_of(lowercase_sequences(), code);
  return found.empty() ? Codes{{code}, 1} : copy(found);
}

bool is_blank(std::string_view text) {
  for (const char *at = text.begin(), *end = text.end(); at < end;) {
    if (!(properties(next_character(at)) & (whitespace | control))) return false;
  }
  return true;
}

std::string replace_broken(std::string_view text) {
  std::string whole;
  whole.reserve(text.size() + 16);
  for (;;) {
    const size_t valid = valid_utf8(text);
    whole += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) return whole;
    text.remove_prefix(std::max<size_t>(begun_character(text).bytes, 1));
    whole += "\xEF\xBF\xBD";
  }
}

size_t incomplete_at_end(std::string_view text) {
  for (size_t size = 1; size <= std::min<size_t>(text.size(), 3); size++) {
    const auto [bytes, whole] = begun_character(text.substr(text.size() - size));
    if (bytes == size && bytes < whole) return size;
  }
  return 0;
}

}  // namespace sartor::text::unicode
