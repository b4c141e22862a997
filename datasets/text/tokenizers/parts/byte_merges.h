// Byte pair encoding (Sennrich et al. 2016) of single words: adjacent symbols are merged in the order of the ranks of
// their pairs, equal ranks from left to right.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::text {

class ByteMerges {
 public:
  struct Merge {
    int32_t left, right, merged;  // symbols; the bytes of `merged` are those of `left` and `right`
  };
  static constexpr int32_t missing = -1;

  // Symbols are indices in `bytes`, which has the bytes of each. `of_byte` has the symbol of each byte, or `missing`.
  // The rank of a merge is its index; the last of several merges of a pair counts.
  ByteMerges(std::span<const std::string> bytes, const std::array<int32_t, 256>& of_byte,
             std::span<const Merge> merges);

  // Appends the symbols of a word, all of whose bytes have a symbol. Takes linear time in all but contrived cases, in
  // which it takes n log n per symbol.
  void encode(std::string_view word, std::vector<int32_t>& symbols) const;

  size_t length(int32_t symbol) const { return lengths_[symbol]; }  // number of bytes

 private:
  static constexpr int32_t none = INT32_MAX;  // rank of a pair without a merge
  static constexpr int32_t separate = -1;     // of a pair of bytes that no symbol contains
  static constexpr size_t short_size = 64;    // longest word that is merged as a whole
  struct Slot {
    uint64_t pair;
    int32_t rank;
  };
  static uint64_t pair_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  static uint64_t hash_of(uint64_t pair) { return pair * 0x9E3779B97F4A7C15; }
  static size_t bytes_pair(char first, char second) {
    return size_t{static_cast<uint8_t>(first)} << 8 | static_cast<uint8_t>(second);
  }

  size_t slot_of(uint64_t pair, uint64_t hash) const;
  int32_t rank(int32_t left, int32_t right) const;

  void merge_short(int32_t* symbols, int32_t* ranks, size_t size, std::vector<int32_t>& made) const;
  void encode_short(std::string_view word, std::vector<int32_t>& made) const;
  void encode_with_heap(std::string_view word, std::vector<int32_t>& made) const;
  void encode_window(std::string_view word, std::vector<int32_t>& made) const;
  void encode_long(std::string_view word, std::vector<int32_t>& made) const;
  bool stay_apart(int32_t left, int32_t right, std::string_view both) const;

  std::array<int32_t, 256> of_byte_;
  std::vector<uint32_t> lengths_;
  std::vector<int32_t> byte_ranks_;  // rank of each pair of bytes, by bytes_pair
  std::vector<int32_t> merged_;      // by rank
  std::vector<Slot> slots_;          // open addressing by a hash of the pair; rank none: free
  int shift_ = 0;                    // 64 - log2 of the number of slots
  // A bit for each hash value of a merge. It rejects most pairs without a merge and, unlike the slots, fits into the
  // processor's cache for large vocabularies.
  std::vector<uint64_t> filter_;
  int filter_shift_ = 0;
};

}  // namespace sartor::text
