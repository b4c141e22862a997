#include "generation/decoding/block_pool.h"

#include <algorithm>
#include <cassert>

#include "base/random.h"

namespace sartor::inference {

BlockPool::BlockPool(int64_t blocks) : blocks_(blocks) {
  free_.reserve(blocks);
  for (int64_t block = blocks; block-- > 0;) free_.push_back(static_cast<int32_t>(block));
}

std::optional<int32_t> BlockPool::take() {
  if (free_.empty()) {
    if (kept_ == 0) return std::nullopt;
    free_oldest();
  }
  const int32_t block = free_.back();
  free_.pop_back();
  blocks_[block].users = 1;
  peak_ = std::max(peak_, ++used_);
  return block;
}

void BlockPool::hold(int32_t block) {
  if (blocks_[block].users++ > 0) return;
  remove_kept(block);
  peak_ = std::max(peak_, ++used_);
}

void BlockPool::drop(int32_t block) {
  assert(blocks_[block].users > 0);
  if (--blocks_[block].users > 0) return;
  used_--;
  if (blocks_[block].key && blocks_[block].computed) {
    keep(block);
    if (kept_ > peak_) free_oldest();
  } else {
    unpublish(block);
    free_.push_back(block);
  }
}

std::optional<BlockPool::Content> BlockPool::find(Beginning before, Tokens tokens) const {
  const auto found = published_.find(key(before, tokens));
  if (found == published_.end()) return std::nullopt;
  const auto& block = blocks_[found->second];
  return Content{found->second, block.beginning, block.computed};
}

BlockPool::Beginning BlockPool::publish(int32_t block, Beginning before, Tokens tokens) {
  const auto [entry, is_new] = published_.try_emplace(key(before, tokens), block);
  if (is_new) {
    blocks_[block].key = &entry->first;
    blocks_[block].beginning = ++last_beginning_;
  }
  return blocks_[entry->second].beginning;
}

// Texts that begin with an unpublished block get new numbers, so nothing after it is found either.
void BlockPool::unpublish(int32_t block) {
  if (const Key* key = blocks_[block].key) published_.erase(published_.find(*key));
  blocks_[block].key = nullptr;
  blocks_[block].computed = false;
}

void BlockPool::keep(int32_t block) {
  blocks_[block].older = newest_;
  blocks_[block].newer = -1;
  (newest_ < 0 ? oldest_ : blocks_[newest_].newer) = block;
  newest_ = block;
  kept_++;
}

void BlockPool::remove_kept(int32_t block) {
  const auto [newer, older] = std::pair(blocks_[block].newer, blocks_[block].older);
  (newer < 0 ? newest_ : blocks_[newer].older) = older;
  (older < 0 ? oldest_ : blocks_[older].newer) = newer;
  blocks_[block].newer = blocks_[block].older = -1;
  kept_--;
}

void BlockPool::free_oldest() {
  const int32_t block = oldest_;
  remove_kept(block);
  unpublish(block);
  free_.push_back(block);
}

BlockPool::Key BlockPool::key(Beginning before, Tokens tokens) {
  Key key{.before = before};
  std::ranges::copy(tokens, key.tokens.begin());
  return key;
}

size_t BlockPool::Hash::operator()(const Key& key) const {
  uint64_t hash = key.before;
  for (const int32_t token : key.tokens) hash = random_bits(hash, static_cast<uint32_t>(token));
  return hash;
}

}  // namespace sartor::inference
