#include "metrics/texts/python_text.h"

#include <algorithm>
#include <iterator>

#include "base/utf8.h"
#include "encodings/unicode.h"

namespace sartor::text_metrics {
namespace {

namespace unicode = text::unicode;

constexpr char32_t capital_sigma = 0x3A3, small_sigma = 0x3C3, final_sigma = 0x3C2;

// Whether the first character that is not case-ignorable exists and is cased.
template <class Iterator> bool begins_cased(Iterator at, Iterator end) {
  at = std::find_if(at, end, [](char32_t code) { return !(unicode::metric_classes(code) & unicode::case_ignorable); });
  return at != end && unicode::metric_classes(*at) & unicode::cased;
}

// The condition Final_Sigma of the Unicode Standard, section 3.13.
bool is_final(std::u32string_view text, size_t at) {
  const auto before = text.substr(0, at), after = text.substr(at + 1);
  return begins_cased(before.rbegin(), before.rend()) && !begins_cased(after.begin(), after.end());
}

}  // namespace

std::u32string decode(std::string_view text) {
  std::string owned;
  if (valid_utf8(text) != text.size()) text = owned = unicode::replace_broken(text);
  std::u32string codes;
  codes.reserve(text.size());
  for (const char *at = text.data(), *const end = at + text.size(); at < end;) {
    codes += unicode::next_character(at);
  }
  return codes;
}

std::string encode(std::u32string_view text) {
  std::string bytes;
  for (const char32_t code : text) unicode::append_character(bytes, code);
  return bytes;
}

std::u32string lowercase(std::u32string_view text) {
  std::u32string lower;
  lower.reserve(text.size());
  for (size_t at = 0; at < text.size(); at++) {
    const char32_t code = text[at];
    if (code < 0x80) {
      lower += code >= 'A' && code <= 'Z' ? code + 32 : code;
    } else if (code == capital_sigma) {
      lower += is_final(text, at) ? final_sigma : small_sigma;
    } else if (code >= 0x2E80 && code < 0xA000) {
      lower += code;  // CJK, which the tables would find slowly
    } else {
      const auto codes = unicode::lowercase(code);
      lower.append(codes.codes, codes.size);
    }
  }
  return lower;
}

std::u32string_view strip_end(std::u32string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::u32string_view strip(std::u32string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return strip_end(text);
}

std::vector<std::u32string> split(std::u32string_view text) {
  std::vector<std::u32string> words;
  for (auto at = text.begin(); at < text.end();) {
    const auto end = std::find_if(at, text.end(), is_space);
    if (end > at) words.emplace_back(at, end);
    at = end == text.end() ? end : end + 1;
  }
  return words;
}

std::u32string without_spaces(std::u32string_view text) {
  std::u32string left;
  left.reserve(text.size());
  std::ranges::copy_if(text, std::back_inserter(left), [](char32_t code) { return !is_space(code); });
  return left;
}

std::vector<std::u32string_view> lines(std::u32string_view text) {
  std::vector<std::u32string_view> found;
  while (!text.empty()) {
    const size_t end = std::min(text.find(U'\n'), text.size());
    if (end > 0) found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

}  // namespace sartor::text_metrics
