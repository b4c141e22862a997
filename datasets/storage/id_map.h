// Dense indices for strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::datasets {

// Numbers distinct strings from 0 in the order of insertion. An open-addressing hash table over one byte arena.
class IdMap {
 public:
  // `what` names the ids in messages, e.g. "users". More than `limit` ids are an error.
  explicit IdMap(std::string what, int64_t limit = INT32_MAX);

  int64_t size() const { return std::ssize(ends_); }
  std::string_view operator[](int64_t index) const {
    const int64_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(bytes_).substr(begin, ends_[index] - begin);
  }

  int32_t insert(std::string_view id);      // existing or new index; throws std::invalid_argument above the limit
  int32_t find(std::string_view id) const;  // -1 if absent

  // Prefetches the slot of `id`. Called about a dozen ids ahead of insert() or find(), it hides most of their latency.
  void prefetch(std::string_view id) const { __builtin_prefetch(&slots_[first_slot(key_of(id).word)]); }

 private:
  // `word` contains an id of up to 8 bytes itself, so that a lookup touches one cache line, or the hash of a longer id.
  struct Key {
    uint64_t word;
    int32_t size;
  };
  struct Slot {
    uint64_t word = 0;
    int32_t size = 0;
    int32_t index = -1;
  };
  static Key key_of(std::string_view id);
  size_t slot_of(Key key, std::string_view id) const;  // slot of the id, or the free slot for it
  size_t first_slot(uint64_t word) const;
  void grow();

  std::string what_;
  int64_t limit_;
  std::string bytes_;          // all ids, concatenated
  std::vector<int64_t> ends_;  // end of each id in bytes_
  std::vector<Slot> slots_;    // size is a power of two; at most 3/4 used
  int shift_;                  // 64 - log2(slots_.size())
};

}  // namespace sartor::datasets
