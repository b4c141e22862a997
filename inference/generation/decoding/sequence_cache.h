// Sequences of tokens and their blocks of the cache.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "generation/decoding/block_pool.h"

namespace sartor::inference {

// A prompt and the tokens written after it.
struct Sequence {
  std::vector<int32_t> ids;  // those that the host knows
  int64_t unknown = 0;       // further tokens that only the device knows
  std::vector<int32_t> blocks;
  int64_t cached = 0;  // tokens whose keys and values are in the cache, or will be after the current step

  int64_t length() const { return std::ssize(ids) + unknown; }
};

// Blocks that hold `tokens` tokens.
constexpr int64_t blocks_for(int64_t tokens) { return (tokens + cuda::cache_block - 1) / cuda::cache_block; }

class SequenceCache {
 public:
  // copy_block(from, to) copies a block's contents in all layers.
  SequenceCache(int64_t blocks, bool share_prefixes, std::function<void(int32_t, int32_t)> copy_block)
      : pool_(blocks), shares_(share_prefixes), copy_block_(std::move(copy_block)) {}

  const BlockPool& pool() const { return pool_; }

  // Gives a sequence without blocks those for all its tokens, if they leave `reserve` others available. Blocks whose
  // contents are known count as cached, except for the last token, whose logits are needed. wait: another sequence is
  // about to compute the same beginning.
  enum class Start { started, wait, no_room };
  Start start(Sequence& sequence, int64_t reserve);

  // Makes room for the keys and values of the next token that is not cached: a new block, or a copy of a block that
  // others use. Returns whether there was room.
  bool extend(Sequence& sequence);

  // The step that caches the tokens before sequence.cached, from `first` on, runs on the device.
  void set_computed(const Sequence& sequence, int64_t first);

  // Adds a user to all blocks, for a copy of the sequence.
  void share(const Sequence& sequence);
  // Gives the blocks back.
  void release(Sequence& sequence);

 private:
  // Shares the blocks that begin like the sequence. Returns false if it is better to wait.
  bool find_beginning(Sequence& sequence);
  void publish(const Sequence& sequence);

  BlockPool pool_;
  bool shares_;
  std::function<void(int32_t, int32_t)> copy_block_;
};

}  // namespace sartor::inference
