#include "text/tokenizers/parts/byte_merges.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <queue>

namespace sartor::text {

ByteMerges::ByteMerges(std::span<const std::string> bytes, const std::array<int32_t, 256>& of_byte,
                       std::span<const Merge> merges)
    : of_byte_(of_byte), byte_ranks_(1 << 16, separate) {
  for (const auto& each : bytes) lengths_.push_back(static_cast<uint32_t>(each.size()));
  const size_t slots = std::bit_ceil(2 * merges.size() + 2);
  slots_.assign(slots, {0, none});
  shift_ = 64 - std::countr_zero(slots);
  filter_.resize(std::max<size_t>(slots / 16, 1));  // four bits per slot
  filter_shift_ = 64 - std::countr_zero(64 * filter_.size());
  for (size_t r = 0; r < merges.size(); r++) {
    merged_.push_back(merges[r].merged);
    const uint64_t pair = pair_of(merges[r].left, merges[r].right);
    const uint64_t hash = hash_of(pair), bit = hash >> filter_shift_;
    filter_[bit >> 6] |= uint64_t{1} << (bit & 63);
    slots_[slot_of(pair, hash)] = {pair, static_cast<int32_t>(r)};
    const std::string& together = bytes[merges[r].merged];
    for (size_t i = 1; i < together.size(); i++) byte_ranks_[bytes_pair(together[i - 1], together[i])] = none;
  }
  for (size_t pair = 0; pair < byte_ranks_.size(); pair++) {
    const int32_t left = of_byte[pair >> 8], right = of_byte[pair & 0xFF];
    if (byte_ranks_[pair] != separate && left != missing && right != missing) byte_ranks_[pair] = rank(left, right);
  }
}

// Index of the slot of a pair with this hash, or of the free slot where it belongs.
size_t ByteMerges::slot_of(uint64_t pair, uint64_t hash) const {
  size_t at = hash >> shift_;
  while (slots_[at].pair != pair && slots_[at].rank != none) at = (at + 1) & (slots_.size() - 1);
  return at;
}

int32_t ByteMerges::rank(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right), hash = hash_of(pair), bit = hash >> filter_shift_;
  if (!(filter_[bit >> 6] >> (bit & 63) & 1)) return none;
  return slots_[slot_of(pair, hash)].rank;
}

// Merges `size` symbols, 1 to short_size; ranks[i] is that of the pair that begins at i. Both arrays are overwritten.
void ByteMerges::merge_short(int32_t* symbols, int32_t* ranks, size_t size, std::vector<int32_t>& made) const {
  while (size > 1) {
    int32_t best = none;
    for (size_t i = 0; i + 1 < size; i++) best = std::min(best, ranks[i]);
    if (best == none) break;
    const auto i = static_cast<size_t>(std::find(ranks, ranks + size - 1, best) - ranks);
    symbols[i] = merged_[best];
    size--;
    std::memmove(symbols + i + 1, symbols + i + 2, (size - i - 1) * sizeof(*symbols));
    std::memmove(ranks + i, ranks + i + 1, (size - i - 1) * sizeof(*ranks));
    if (i > 0) ranks[i - 1] = rank(symbols[i - 1], symbols[i]);
    if (i + 1 < size) ranks[i] = rank(symbols[i], symbols[i + 1]);
  }
  made.insert(made.end(), symbols, symbols + size);
}

// Merges whole word without regard to its length.
void ByteMerges::encode_with_heap(std::string_view word, std::vector<int32_t>& made) const {
  struct Node {
    int32_t symbol, previous, next;  // symbol -1: part of the symbol before it
  };
  const auto size = static_cast<int32_t>(word.size());
  std::vector<Node> nodes(word.size());
  std::vector<uint64_t> entries;
  const auto entry = [](int32_t rank, int32_t at) {
    return uint64_t{static_cast<uint32_t>(rank)} << 32 | static_cast<uint32_t>(at);
  };
  for (int32_t i = 0; i < size; i++) {
    nodes[i] = {of_byte_[static_cast<uint8_t>(word[i])], i - 1, i + 1};
    if (i == 0) continue;
    const int32_t found = byte_ranks_[bytes_pair(word[i - 1], word[i])];
    if (found != none && found != separate) entries.push_back(entry(found, i - 1));
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> waiting(std::greater<>(), std::move(entries));
  const auto consider = [&](int32_t at) {
    if (at < 0 || nodes[at].next == size) return;
    const int32_t found = rank(nodes[at].symbol, nodes[nodes[at].next].symbol);
    if (found != none) waiting.push(entry(found, at));
  };
  while (!waiting.empty()) {
    const auto best = static_cast<int32_t>(waiting.top() >> 32), at = static_cast<int32_t>(waiting.top());
    waiting.pop();
    Node& left = nodes[at];
    if (left.symbol < 0 || left.next == size || rank(left.symbol, nodes[left.next].symbol) != best) continue;
    nodes[left.next].symbol = -1;
    left.symbol = merged_[best];
    left.next = nodes[left.next].next;
    if (left.next < size) nodes[left.next].previous = at;
    consider(left.previous);
    consider(at);
  }
  for (int32_t at = 0; at < size; at = nodes[at].next) made.push_back(nodes[at].symbol);
}

void ByteMerges::encode_short(std::string_view word, std::vector<int32_t>& made) const {
  int32_t symbols[short_size], ranks[short_size];
  for (size_t i = 0; i < word.size(); i++) {
    symbols[i] = of_byte_[static_cast<uint8_t>(word[i])];
    if (i > 0) {
      const int32_t found = byte_ranks_[bytes_pair(word[i - 1], word[i])];
      ranks[i - 1] = found == separate ? none : found;
    }
  }
  merge_short(symbols, ranks, word.size(), made);
}

void ByteMerges::encode_window(std::string_view word, std::vector<int32_t>& made) const {
  word.size() <= short_size ? encode_short(word, made) : encode_with_heap(word, made);
}

// Whether the symbols are those of their bytes, which are `both`.
bool ByteMerges::stay_apart(int32_t left, int32_t right, std::string_view both) const {
  std::vector<int32_t> made;
  encode_window(both, made);
  return made.size() == 2 && made[0] == left && made[1] == right;
}

// Symbols are the result of merging a word if each two neighbors are the result of merging their bytes: the first merge
// across a boundary would happen with these bytes alone, too. Therefore the word is merged in windows, and each window
// begins at the end of a symbol of the one before it, far enough from its end. If the symbols at that boundary do not
// stay apart, a longer window is tried from an earlier symbol on.
void ByteMerges::encode_long(std::string_view word, std::vector<int32_t>& made) const {
  const size_t before = made.size();
  std::vector<int32_t> window;
  size_t at = 0, room = short_size, failed = 0;
  while (at < word.size()) {
    if (at > failed) room = short_size;
    const size_t end = std::min(word.size(), at + room);
    window.clear();
    encode_window(word.substr(at, end - at), window);
    if (made.size() > before) {
      const size_t last = lengths_[made.back()], next = lengths_[window.front()];
      if (!stay_apart(made.back(), window.front(), word.substr(at - last, last + next))) {
        failed = std::max(failed, at);
        room *= 2;
        const bool all = room >= word.size();
        at = all ? 0 : at - last;
        made.resize(all ? before : made.size() - 1);
        continue;
      }
    }
    const size_t kept = end == word.size() ? end : end - room / 4;
    for (size_t i = 0; i < window.size() && (i == 0 || at + lengths_[window[i]] <= kept); i++) {
      at += lengths_[window[i]];
      made.push_back(window[i]);
    }
  }
}

void ByteMerges::encode(std::string_view word, std::vector<int32_t>& made) const {
  int32_t symbols[short_size], ranks[short_size];
  for (size_t begin = 0; begin < word.size();) {
    size_t size = 1, end = begin + 1;
    symbols[0] = of_byte_[static_cast<uint8_t>(word[begin])];
    for (; end < word.size(); end++, size++) {
      const int32_t found = byte_ranks_[bytes_pair(word[end - 1], word[end])];
      if (found == separate) break;
      if (size >= short_size) continue;
      ranks[size - 1] = found;
      symbols[size] = of_byte_[static_cast<uint8_t>(word[end])];
    }
    end - begin <= short_size ? merge_short(symbols, ranks, end - begin, made)
                              : encode_long(word.substr(begin, end - begin), made);
    begin = end;
  }
}

}  // namespace sartor::text
