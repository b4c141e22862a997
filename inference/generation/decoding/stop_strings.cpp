#include "generation/decoding/stop_strings.h"

#include <algorithm>

namespace sartor::inference {

std::optional<size_t> StopStrings::find(std::string_view text, size_t from) const {
  if (strings_.empty()) return std::nullopt;
  for (size_t end = from + 1; end <= text.size(); end++) {
    size_t longest = 0;
    for (const auto& string : strings_) {
      if (text.substr(0, end).ends_with(string)) longest = std::max(longest, string.size());
    }
    if (longest > 0) return end - longest;
  }
  return std::nullopt;
}

size_t StopStrings::possible(std::string_view text) const {
  size_t longest = 0;
  for (const auto& string : strings_) {
    for (size_t size = std::min(string.size() - 1, text.size()); size > longest; size--) {
      if (text.ends_with(std::string_view(string).substr(0, size))) longest = size;
    }
  }
  return longest;
}

bool TextBuilder::append(const std::string& piece) {
  const size_t before = text_.size();
  text_ += piece;
  const auto stop = stops_->find(text_, before);
  if (stop) text_.resize(*stop);
  return stop.has_value();
}

std::string_view TextBuilder::next_piece(bool ended) {
  const size_t end = text_.size() - (ended ? 0 : stops_->possible(text_));
  const auto piece = std::string_view(text_).substr(std::min(shown_, end), end - std::min(shown_, end));
  shown_ = std::max(shown_, end);
  return piece;
}

}  // namespace sartor::inference
