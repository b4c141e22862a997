// The text of a sequence while it is written, and the strings that end it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizers/stream_decoder.h"

namespace sartor::inference {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> strings) : strings_(std::move(strings)) {}

  bool empty() const { return strings_.empty(); }
  // Where the stop string begins that is complete first, at byte `from` or later; the longest if several are. Does not
  // depend on the pieces in which the text arrives.
  std::optional<size_t> find(std::string_view text, size_t from) const;
  // Number of bytes at the end of the text with which a stop string may begin.
  size_t possible(std::string_view text) const;

 private:
  std::vector<std::string> strings_;
};

// Decodes tokens and ends the text before the first stop string.
class TextBuilder {
 public:
  TextBuilder(const text::Tokenizer& tokenizer, const StopStrings& stops) : decoder_(tokenizer), stops_(&stops) {}

  bool add(int32_t id) { return append(decoder_.add(id)); }  // whether a stop string is complete
  // Adds what is held back of an incomplete character. Whether that completes a stop string.
  bool finish() { return append(decoder_.finish()); }

  const std::string& text() const { return text_; }
  // Text that was not returned before and is certain: no stop string begins in it. After the end: all the rest.
  std::string_view next_piece(bool ended);

 private:
  bool append(const std::string& piece);

  text::StreamDecoder decoder_;
  const StopStrings* stops_;
  std::string text_;
  size_t shown_ = 0;
};

}  // namespace sartor::inference
