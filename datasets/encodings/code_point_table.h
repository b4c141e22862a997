// A table with one byte per code point, in which equal blocks share memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sartor::text::unicode {

class CodePointTable {
 public:
  // Calls value_of(code) once for each code point in ascending order.
  template <class ValueOf> explicit CodePointTable(ValueOf&& value_of) {
    for (uint32_t block = 0; block < block_count; block++) {
      uint8_t made[256];
      for (uint32_t i = 0; i < 256; i++) made[i] = value_of(static_cast<char32_t>(block << 8 | i));
      blocks_.insert(blocks_.end(), made, made + 256);
      block_of_.push_back(shared_block());
    }
  }

  uint8_t operator[](char32_t code) const { return blocks_[block_of_[code >> 8] << 8 | (code & 0xFF)]; }

 private:
  static constexpr uint32_t block_count = 0x110000 >> 8;

  // Index of the first block that equals the last one, which is removed unless it is the first of its kind.
  uint16_t shared_block() {
    const auto last = blocks_.end() - 256;
    for (auto at = blocks_.begin(); at < last; at += 256) {
      if (!std::equal(last, blocks_.end(), at)) continue;
      const auto index = static_cast<uint16_t>((at - blocks_.begin()) >> 8);
      blocks_.resize(blocks_.size() - 256);
      return index;
    }
    return static_cast<uint16_t>((last - blocks_.begin()) >> 8);
  }

  std::vector<uint16_t> block_of_;  // index: code >> 8
  std::vector<uint8_t> blocks_;     // 256 entries per block
};

}  // namespace sartor::text::unicode
