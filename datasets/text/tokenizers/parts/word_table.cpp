#include "text/tokenizers/parts/word_table.h"

#include <algorithm>
#include <bit>

namespace sartor::text {

WordTable::WordTable(const std::vector<std::pair<std::string, int32_t>>& words) {
  const size_t slots = std::bit_ceil(2 * words.size() + 2);
  slots_.assign(slots, {0, 0, 0, -1});
  shift_ = 64 - std::countr_zero(slots);
  for (const auto& [word, symbol] : words) {
    longest_ = std::max(longest_, word.size());
    const Key key = key_of(word, 0, word.size());
    size_t at = key.hash >> shift_;
    while (slots_[at].symbol >= 0) at = (at + 1) & (slots - 1);
    slots_[at] = {key.head, static_cast<uint32_t>(rests_.size()), static_cast<uint32_t>(word.size()), symbol};
    if (word.size() > 8) rests_ += word.substr(8);
  }
}

}  // namespace sartor::text
