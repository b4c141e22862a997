// Text of any encoding as UTF-8.
#pragma once

#include <iconv.h>

#include <optional>
#include <string>
#include <string_view>

#include "encodings/text_encoding.h"

namespace sartor::datasets {

// Decodes text that comes piece by piece. What is no character in its encoding becomes the byte FF, which is none in
// UTF-8 either, so that the rows that hold it can be told.
class Decoder {
 public:
  // `from` is not automatic. Throws std::runtime_error where the system's iconv does not know it.
  explicit Decoder(TextEncoding from);
  ~Decoder();
  Decoder(const Decoder&) = delete;

  // Appends to `text`; a character that is not whole yet waits for the next piece, or is broken if this is the last.
  void append(std::string_view bytes, bool last, std::string& text);

 private:
  TextEncoding from_;
  iconv_t iconv_ = nullptr;  // for those that need it
  std::string rest_;         // of a character that is not whole
};

// The encoding of a file that begins with these bytes, all of it if `whole`:
//   UTF-16 by its byte order mark; UTF-8 where nearly all characters beyond ASCII are valid;
//   `otherwise` if given: what such files are known to be in if it is not UTF-8;
//   GB18030 where nearly all Chinese characters that come of it are common;
//   windows-1252 where it is no GB18030, and accented letters are fewer than plain ones.
// Throws std::invalid_argument where that does not tell, naming those that are possible.
TextEncoding recognised_encoding(const std::string& file, std::string_view beginning, bool whole,
                                 std::optional<TextEncoding> otherwise);

}  // namespace sartor::datasets
