#include "text/tokenizers/stream_decoder.h"

#include <utility>

#include "encodings/unicode.h"

namespace sartor::text {

std::string StreamDecoder::add(int32_t id) {
  const auto token = tokenizer_.decoded_token(id, skip_special_tokens_);
  if (!token) return "";
  append_decoded(tokenizer_.spec().decoder, *token, first_, held_);
  first_ = false;
  const size_t certain = held_.size() - unicode::incomplete_at_end(held_);
  std::string text = unicode::replace_broken(std::string_view(held_).substr(0, certain));
  held_.erase(0, certain);
  return text;
}

std::string StreamDecoder::finish() {
  first_ = true;
  return unicode::replace_broken(std::exchange(held_, ""));
}

}  // namespace sartor::text
