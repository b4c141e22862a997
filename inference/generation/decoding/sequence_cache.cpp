#include "generation/decoding/sequence_cache.h"

namespace sartor::inference {
namespace {

BlockPool::Tokens tokens_of(const Sequence& sequence, int64_t block) {
  return BlockPool::Tokens(sequence.ids.data() + block * cuda::cache_block, cuda::cache_block);
}

}  // namespace

SequenceCache::Start SequenceCache::start(Sequence& sequence, int64_t reserve) {
  if (shares_ && !find_beginning(sequence)) {
    release(sequence);
    return Start::wait;
  }
  const int64_t needed = blocks_for(std::ssize(sequence.ids)) - std::ssize(sequence.blocks);
  if (needed + reserve > pool_.available()) {
    release(sequence);
    return Start::no_room;
  }
  for (int64_t i = 0; i < needed; i++) sequence.blocks.push_back(*pool_.take());
  if (shares_) publish(sequence);
  return Start::started;
}

bool SequenceCache::find_beginning(Sequence& sequence) {
  const int64_t usable = (std::ssize(sequence.ids) - 1) / cuda::cache_block;
  BlockPool::Beginning before = 0;
  for (int64_t i = 0; i < usable; i++) {
    const auto found = pool_.find(before, tokens_of(sequence, i));
    if (!found) break;
    if (!found->computed) return false;
    pool_.hold(found->block);
    sequence.blocks.push_back(found->block);
    before = found->beginning;
  }
  sequence.cached = std::ssize(sequence.blocks) * cuda::cache_block;
  return true;
}

void SequenceCache::publish(const Sequence& sequence) {
  BlockPool::Beginning before = 0;
  for (int64_t i = 0; i < std::ssize(sequence.ids) / cuda::cache_block; i++) {
    before = pool_.publish(sequence.blocks[i], before, tokens_of(sequence, i));
  }
}

bool SequenceCache::extend(Sequence& sequence) {
  const int64_t index = sequence.cached / cuda::cache_block;
  const bool is_new = index == std::ssize(sequence.blocks);
  if (!is_new && !pool_.is_shared(sequence.blocks[index])) {
    pool_.unpublish(sequence.blocks[index]);  // nobody may begin to read what is written
    return true;
  }
  const auto block = pool_.take();
  if (!block) return false;
  if (is_new) {
    sequence.blocks.push_back(*block);
  } else {
    copy_block_(sequence.blocks[index], *block);
    pool_.drop(sequence.blocks[index]);
    sequence.blocks[index] = *block;
  }
  return true;
}

void SequenceCache::set_computed(const Sequence& sequence, int64_t first) {
  for (int64_t i = first / cuda::cache_block; i < sequence.cached / cuda::cache_block; i++) {
    pool_.set_computed(sequence.blocks[i]);
  }
}

void SequenceCache::share(const Sequence& sequence) {
  for (const int32_t block : sequence.blocks) pool_.hold(block);
}

// The last blocks first, so that the beginnings of texts are kept longest.
void SequenceCache::release(Sequence& sequence) {
  for (; !sequence.blocks.empty(); sequence.blocks.pop_back()) pool_.drop(sequence.blocks.back());
  sequence.cached = 0;
}

}  // namespace sartor::inference
