// A map from strings to numbers for longest-prefix lookups.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::text {

// A double-array trie (Aoe 1989) with one word per slot: the child of a node for a byte is at base ^ byte. Bases are
// unique, so that the byte stored in a slot identifies the parent.
class ByteTrie {
 public:
  struct Entry {
    std::string key;
    int32_t value;  // not negative
  };

  // A position in the trie.
  struct Node {
    uint64_t slot;
    int32_t value() const { return static_cast<int32_t>((slot >> 32) - 1); }  // -1: no key ends here
  };
  struct Match {
    int32_t value = -1;
    size_t size = 0;
  };

  // Keys must be distinct; the empty key is allowed. Throws std::invalid_argument if more than 2^23 slots are needed.
  explicit ByteTrie(std::vector<Entry> entries);

  Node root() const { return {root_}; }

  // Moves `node` to its child for `byte`. Returns false if there is none.
  bool step(Node& node, char byte) const {
    const uint64_t slot = slots_[(node.slot & base_mask) ^ static_cast<uint8_t>(byte)];
    if ((slot >> label_shift & label_mask) != static_cast<uint8_t>(byte)) return false;
    node.slot = slot;
    return true;
  }

  // The longest key, continued from `node`, that is a non-empty prefix of `text`.
  Match longest(Node node, std::string_view text) const {
    Match found;
    for (size_t i = 0; i < text.size() && step(node, text[i]); i++) {
      if (node.value() >= 0) found = {node.value(), i + 1};
    }
    return found;
  }

  // Moves `node` along all of `text`. Returns false if there is no such path.
  bool walk(Node& node, std::string_view text) const {
    for (const char byte : text) {
      if (!step(node, byte)) return false;
    }
    return true;
  }

 private:
  // Bits of a slot from the lowest: base of the children (23), byte or `no_label` (9), value + 1 (32). Base 0 marks
  // nodes without children: the first 256 slots are unused.
  static constexpr uint64_t base_mask = (1 << 23) - 1, label_shift = 23, label_mask = 0x1FF, no_label = 0x100;
  class Builder;

  std::vector<uint64_t> slots_;
  uint64_t root_ = 0;
};

}  // namespace sartor::text
