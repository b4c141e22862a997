// A map from strings to numbers that finds the longest key at a place in a text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::text {

// A double array (Aoe 1989) of one word a slot: the child of a node by a byte lies at base ^ byte. No two nodes have
// one base, so that the byte kept in a slot is enough to tell whose child it is.
class ByteTrie {
 public:
  struct Entry {
    std::string key;
    int32_t value;  // not negative
  };

  // Where a walk stands.
  struct Node {
    uint64_t slot;
    int32_t value() const { return static_cast<int32_t>((slot >> 32) - 1); }  // -1: no key ends here
  };
  struct Match {
    int32_t value = -1;
    size_t size = 0;
  };

  // Keys must differ; the empty key is allowed. Throws std::invalid_argument where they take more than 2^23 slots.
  explicit ByteTrie(std::vector<Entry> entries);

  Node root() const { return {root_}; }

  // Whether there is a child; if so `node` becomes it.
  bool step(Node& node, char byte) const {
    const uint64_t slot = slots_[(node.slot & base_mask) ^ static_cast<uint8_t>(byte)];
    if ((slot >> label_shift & label_mask) != static_cast<uint8_t>(byte)) return false;
    node.slot = slot;
    return true;
  }

  // The longest key of at least one byte that `text` begins with, from `node` on.
  Match longest(Node node, std::string_view text) const {
    Match found;
    for (size_t i = 0; i < text.size() && step(node, text[i]); i++) {
      if (node.value() >= 0) found = {node.value(), i + 1};
    }
    return found;
  }

  // The node that all of `text` leads to; false if there is none.
  bool walk(Node& node, std::string_view text) const {
    for (const char byte : text) {
      if (!step(node, byte)) return false;
    }
    return true;
  }

 private:
  // A slot, from its lowest bit: base of the children (23 bits), byte or `no_label` (9), value + 1 (32).
  // Base 0 is that of nodes without children: the first 256 slots hold none.
  static constexpr uint64_t base_mask = (1 << 23) - 1, label_shift = 23, label_mask = 0x1FF, no_label = 0x100;
  class Builder;

  std::vector<uint64_t> slots_;
  uint64_t root_ = 0;
};

}  // namespace sartor::text
