// Detection of text encodings and conversion to UTF-8.
#pragma once

#include <iconv.h>

#include <optional>
#include <string>
#include <string_view>

#include "encodings/text_encoding.h"

namespace sartor::datasets {

// Converts a stream of bytes to UTF-8. An invalid byte sequence becomes the byte FF, which never occurs in UTF-8, so
// that the affected rows can be found.
class Decoder {
 public:
  // `from` must not be automatic. Throws std::runtime_error if the system's iconv does not support it.
  explicit Decoder(TextEncoding from);
  ~Decoder();
  Decoder(const Decoder&) = delete;

  // Appends the decoded bytes to `text`. An incomplete character at the end is kept for the next call, or is invalid if
  // `last` is true.
  void append(std::string_view bytes, bool last, std::string& text);

 private:
  TextEncoding from_;
  iconv_t iconv_ = nullptr;  // nullptr for UTF-8 and Latin-1
  std::string rest_;         // incomplete character at the end of the input so far
};

// Detects the encoding of a file from its first bytes (all of them if `whole`). The first rule that applies decides:
//   1. UTF-16 if there is a byte order mark
//   2. UTF-8 if nearly all non-ASCII characters are valid UTF-8
//   3. `otherwise`, if given: the known alternative to UTF-8 for this kind of file
//   4. GB18030 if nearly all characters of the decoded text are common Chinese characters
//   5. windows-1252 if the text is valid, is invalid in GB18030, and has fewer accented than plain letters
// Throws std::invalid_argument with the possible encodings if no rule applies. `file` is used in messages only.
TextEncoding recognised_encoding(const std::string& file, std::string_view beginning, bool whole,
                                 std::optional<TextEncoding> otherwise);

}  // namespace sartor::datasets
