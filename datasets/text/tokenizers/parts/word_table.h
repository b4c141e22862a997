// A hash table from short byte strings to symbols.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sartor::text {

class WordTable {
 public:
  // Keys must be distinct and not empty; symbols must not be negative.
  explicit WordTable(const std::vector<std::pair<std::string, int32_t>>& words);

  // The symbol of text[at] .. text[at + size - 1], which is not empty; -1 if it is not in the table.
  int32_t find(std::string_view text, size_t at, size_t size) const {
    if (size > longest_) return -1;
    const Key key = key_of(text, at, size);
    for (size_t i = key.hash >> shift_;; i = (i + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[i];
      if (slot.symbol < 0) return -1;
      if (slot.head == key.head && slot.size == size &&
          (size <= 8 || std::memcmp(rests_.data() + slot.rest, text.data() + at + 8, size - 8) == 0))
        return slot.symbol;
    }
  }

 private:
  struct Key {
    uint64_t head, hash;
  };
  struct Slot {
    uint64_t head;  // the first eight bytes, followed by zeros
    uint32_t rest;  // index in rests_ of the bytes after them
    uint32_t size;
    int32_t symbol;  // -1: free
  };

  static Key key_of(std::string_view text, size_t at, size_t size) {
    uint64_t head = 0, tail = 0;
    if (text.size() - at >= 8) {
      std::memcpy(&head, text.data() + at, 8);
      if (size < 8) head &= (uint64_t{1} << 8 * size) - 1;
    } else {
      std::memcpy(&head, text.data() + at, size);
    }
    if (size > 8) std::memcpy(&tail, text.data() + at + size - 8, 8);
    const uint64_t mixed = (head ^ size) * 0x9E3779B97F4A7C15 + tail;
    return {head, (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93};
  }

  std::vector<Slot> slots_;
  std::string rests_;
  size_t longest_ = 0;
  int shift_ = 0;
};

}  // namespace sartor::text
