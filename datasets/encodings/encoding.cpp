#include "encodings/encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "base/utf8.h"
#include "encodings/common_hanzi.h"
#include "encodings/unicode.h"

namespace sartor::datasets {
namespace {

constexpr char broken = '\xff';
constexpr double nearly_all = 0.75;  // share of common hanzi: 0.9 in Chinese, 0.3 in Korean decoded as GB18030

// Name in iconv; nullptr for encodings that do not need it.
const char* iconv_name(TextEncoding encoding) {
  switch (encoding) {
    case TextEncoding::gb18030:
      return "GB18030";
    case TextEncoding::utf16:
      return "UTF-16";
    case TextEncoding::windows_1252:
      return "WINDOWS-1252";
    default:
      return nullptr;
  }
}

std::string decoded(TextEncoding from, std::string_view bytes) {
  std::string text;
  Decoder(from).append(bytes, /*last=*/true, text);
  return text;
}

// Numbers of characters of a text in UTF-8 by kind. `broken` are invalid bytes, `others` non-ASCII characters other
// than punctuation and whitespace, `common` those of them in common_hanzi.
struct CharacterCounts {
  int64_t ascii_letters = 0, broken = 0, others = 0, common = 0;
};

CharacterCounts count_characters(std::string_view text) {
  CharacterCounts counts;
  while (!text.empty()) {
    const auto [code, bytes] = first_character(text);
    text.remove_prefix(std::max(bytes, size_t{1}));
    if (bytes == 0) {
      counts.broken++;
    } else if (code < 0x80) {
      counts.ascii_letters += (code | 0x20) >= 'a' && (code | 0x20) <= 'z';
    } else if (!(text::unicode::properties(code) & (text::unicode::punctuation | text::unicode::whitespace))) {
      counts.others++;
      counts.common += std::ranges::binary_search(common_hanzi, code);
    }
  }
  return counts;
}

bool most(int64_t part, int64_t whole) { return static_cast<double>(part) >= nearly_all * static_cast<double>(whole); }

}  // namespace

Decoder::Decoder(TextEncoding from) : from_(from) {
  const char* name = iconv_name(from);
  if (!name) return;
  iconv_ = iconv_open("UTF-8", name);
  if (iconv_ != reinterpret_cast<iconv_t>(-1)) return;
  throw std::runtime_error(fmt::format(
      "iconv on this system does not support {}; a package such as libc-gconv-modules-extra may be missing", name));
}

Decoder::~Decoder() {
  if (iconv_) iconv_close(iconv_);
}

void Decoder::append(std::string_view bytes, bool last, std::string& text) {
  if (from_ == TextEncoding::utf8) {
    text += bytes;
    return;
  }
  if (from_ == TextEncoding::latin1) {
    for (const char byte : bytes) text::unicode::append_character(text, static_cast<unsigned char>(byte));
    return;
  }
  rest_ += bytes;
  char* in = rest_.data();
  size_t left = rest_.size();
  while (left > 0) {
    char buffer[1 << 16];
    char* out = buffer;
    size_t room = sizeof(buffer);
    const bool done = iconv(iconv_, &in, &left, &out, &room) != static_cast<size_t>(-1);
    const int error = done ? 0 : errno;
    text.append(buffer, out - buffer);
    if (done || error == E2BIG) continue;
    if (error == EINVAL && !last) break;  // incomplete character
    text += broken;
    const size_t skipped = std::min<size_t>(left, from_ == TextEncoding::utf16 ? 2 : 1);
    in += skipped;
    left -= skipped;
  }
  rest_.erase(0, rest_.size() - left);
}

TextEncoding recognised_encoding(const std::string& file, std::string_view beginning, bool whole,
                                 std::optional<TextEncoding> otherwise) {
  if (beginning.starts_with("\xff\xfe") || beginning.starts_with("\xfe\xff")) return TextEncoding::utf16;
  if (const size_t last = beginning.rfind('\n'); !whole && last != beginning.npos) {
    beginning = beginning.substr(0, last);  // a line break is never inside a character of these encodings
  }
  const auto utf8 = count_characters(beginning);
  if (utf8.broken == 0 || most(utf8.others, utf8.others + utf8.broken)) return TextEncoding::utf8;
  if (otherwise) return *otherwise;

  const auto chinese = count_characters(decoded(TextEncoding::gb18030, beginning));
  if (most(chinese.common, chinese.others + chinese.broken) && chinese.common > 0) return TextEncoding::gb18030;
  const auto western = count_characters(decoded(TextEncoding::windows_1252, beginning));
  const bool may_be_western = western.broken == 0 && western.others < western.ascii_letters;
  if (may_be_western && chinese.broken > 0) return TextEncoding::windows_1252;
  const std::string possible = may_be_western        ? "gb18030 and windows-1252 are possible"
                               : chinese.broken == 0 ? "gb18030 is possible, among others"
                                                     : "neither gb18030 nor windows-1252 fits";
  throw std::invalid_argument(
      fmt::format("{}: cannot detect the encoding: it is not UTF-8, and {}; set encoding", file, possible));
}

}  // namespace sartor::datasets
