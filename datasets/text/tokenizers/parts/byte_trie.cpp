#include "text/tokenizers/parts/byte_trie.h"

#include <algorithm>

#include "base/require.h"

namespace sartor::text {

// Places the children of one node after another, each group at the first base that fits into the last few blocks of
// 256 slots. Older blocks are not searched: their few free slots are not worth the time.
class ByteTrie::Builder {
 public:
  Builder(std::vector<Entry> entries, std::vector<uint64_t>& slots) : entries_(std::move(entries)), slots_(slots) {
    std::ranges::sort(entries_, {}, &Entry::key);
    grow();
  }

  // Builds the trie. Returns the root in the format of a slot.
  uint64_t build() {
    grow();
    const uint64_t root = node(0, entries_.size(), 0);
    while (!waiting_.empty()) {
      const Waiting next = waiting_.back();
      waiting_.pop_back();
      slots_[next.slot] = node(next.first, next.last, next.depth) | (slots_[next.slot] & label_mask << label_shift);
    }
    return root | no_label << label_shift;
  }

 private:
  struct Waiting {
    size_t first, last, depth;  // range of entries below the node, and length of their common prefix
    uint64_t slot;
  };

  // The node of entries with a common prefix of `depth` bytes: its value and the base of its children, which are added
  // to waiting_.
  uint64_t node(size_t first, size_t last, size_t depth) {
    uint64_t value = 0;
    if (first < last && entries_[first].key.size() == depth) value = static_cast<uint64_t>(entries_[first++].value) + 1;
    if (first == last) return value << 32;

    bytes_.clear();
    const size_t children = waiting_.size();
    for (size_t begin = first; begin < last;) {
      const auto byte = static_cast<uint8_t>(entries_[begin].key[depth]);
      size_t end = begin + 1;
      while (end < last && static_cast<uint8_t>(entries_[end].key[depth]) == byte) end++;
      bytes_.push_back(byte);
      waiting_.push_back({begin, end, depth + 1, 0});
      begin = end;
    }
    const uint64_t base = place();
    for (size_t i = 0; i < bytes_.size(); i++) waiting_[children + i].slot = base ^ bytes_[i];
    return value << 32 | base;
  }

  // Finds a base with free slots for all of bytes_ and marks the slots as used.
  uint64_t place() {
    const uint64_t recent = std::max<uint64_t>(256, slots_.size() - std::min<uint64_t>(slots_.size(), 4 * 256));
    for (uint64_t block = recent; block < slots_.size(); block += 256) {
      if (free_[block >> 8] < bytes_.size()) continue;
      for (uint64_t base = block; base < block + 256; base++) {
        if (fits(base)) return take(base);
      }
    }
    const uint64_t base = slots_.size();
    grow();
    return take(base);
  }
  bool fits(uint64_t base) const {
    return !base_taken_[base] &&
           std::ranges::all_of(bytes_, [&](uint8_t byte) { return slots_[base ^ byte] == empty; });
  }
  uint64_t take(uint64_t base) {
    base_taken_[base] = true;
    free_[base >> 8] -= static_cast<uint32_t>(bytes_.size());
    for (const uint8_t byte : bytes_) slots_[base ^ byte] = static_cast<uint64_t>(byte) << label_shift;
    return base;
  }
  void grow() {
    require(slots_.size() + 256 <= base_mask + 1,
            "vocabulary: its strings are too long and too different ({} slots, limit 2^23)", slots_.size());
    slots_.resize(slots_.size() + 256, empty);
    base_taken_.resize(slots_.size());
    free_.push_back(256);
  }

  static constexpr uint64_t empty = no_label << label_shift;
  std::vector<Entry> entries_;
  std::vector<uint64_t>& slots_;
  std::vector<bool> base_taken_;
  std::vector<uint32_t> free_;  // number of free slots per block
  std::vector<Waiting> waiting_;
  std::vector<uint8_t> bytes_;
};

ByteTrie::ByteTrie(std::vector<Entry> entries) { root_ = Builder(std::move(entries), slots_).build(); }

}  // namespace sartor::text
