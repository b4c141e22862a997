// Blocks of the paged cache: which are free, who uses them, and what full ones contain.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "decoding/decode_attention.h"

namespace sartor::inference {

// A block is used by any number of sequences. A full one can be published, so that sequences with the same beginning
// find it. When nobody uses it any more, a published block is kept until its memory is needed; the one that was used
// least recently goes first. No more blocks are kept than were ever used at a time, to bound the memory that is
// touched.
class BlockPool {
 public:
  explicit BlockPool(int64_t blocks);

  int64_t size() const { return std::ssize(blocks_); }
  int64_t used() const { return used_; }
  int64_t available() const { return size() - used_; }
  int64_t peak() const { return peak_; }

  std::optional<int32_t> take();  // a block with one user; nullopt if all are used
  void hold(int32_t block);       // adds a user
  void drop(int32_t block);       // removes a user
  bool is_shared(int32_t block) const { return blocks_[block].users > 1; }

  // A beginning of a text that fills blocks, by number. 0 is the empty one.
  using Beginning = uint64_t;
  using Tokens = std::span<const int32_t, cuda::cache_block>;
  struct Content {
    int32_t block;
    Beginning beginning;  // of the text up to the end of the block
    bool computed;
  };
  // The block of these tokens after `before`.
  std::optional<Content> find(Beginning before, Tokens tokens) const;
  // Lets others find the block, which is used and will contain these tokens after `before`, unless another block with
  // this content is known. Returns the beginning that it completes.
  Beginning publish(int32_t block, Beginning before, Tokens tokens);
  // The block's keys and values are in the cache. If a block is dropped by its last user before that, nobody finds it.
  void set_computed(int32_t block) { blocks_[block].computed = true; }
  // Others do not find the block any more.
  void unpublish(int32_t block);

 private:
  struct Key {
    Beginning before;
    std::array<int32_t, cuda::cache_block> tokens;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  struct Block {
    int32_t users = 0;
    bool computed = false;
    Beginning beginning = 0;         // of published blocks
    const Key* key = nullptr;        // of published blocks, in published_
    int32_t newer = -1, older = -1;  // list of kept blocks
  };
  static Key key(Beginning before, Tokens tokens);
  void keep(int32_t block);
  void remove_kept(int32_t block);
  void free_oldest();

  std::vector<Block> blocks_;
  std::vector<int32_t> free_;
  std::unordered_map<Key, int32_t, Hash> published_;
  Beginning last_beginning_ = 0;
  int32_t newest_ = -1, oldest_ = -1;  // kept blocks
  int64_t used_ = 0, peak_ = 0, kept_ = 0;
};

}  // namespace sartor::inference
