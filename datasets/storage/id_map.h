// Numbers for strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::datasets {

// Gives each distinct string the next number from 0: a hash table by open addressing over one arena of bytes.
class IdMap {
 public:
  // `what` is said in messages: "users". More than `limit` ids are an error.
  explicit IdMap(std::string what, int64_t limit = INT32_MAX);

  int64_t size() const { return std::ssize(ends_); }
  std::string_view operator[](int64_t index) const {
    const int64_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(bytes_).substr(begin, ends_[index] - begin);
  }

  int32_t insert(std::string_view id);      // its number, a new one if need be; std::invalid_argument above the limit
  int32_t find(std::string_view id) const;  // -1 if it is not there

  // Brings the memory that `id` will need into the cache: a dozen ids ahead of insert() or find() saves most of their
  // time.
  void prefetch(std::string_view id) const { __builtin_prefetch(&slots_[first_slot(key_of(id).word)]); }

 private:
  // An id of up to 8 bytes stands in `word` itself, so that finding it touches one cache line; of a longer one, its
  // hash.
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
  size_t slot_of(Key key, std::string_view id) const;  // where it stands or would stand
  size_t first_slot(uint64_t word) const;
  void grow();

  std::string what_;
  int64_t limit_;
  std::string bytes_;          // all ids, one after the other
  std::vector<int64_t> ends_;  // of each in bytes_
  std::vector<Slot> slots_;    // a power of two, at most three quarters of them used
  int shift_;                  // 64 - log2(slots_.size())
};

}  // namespace sartor::datasets
