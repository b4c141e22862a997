#include "models/gpt/decoder_batch.h"

#include <algorithm>

#include "base/require.h"
#include "decoding/decode_attention.h"

namespace sartor::gpt {
namespace {

int64_t blocks_of(const DecoderChunk& chunk) {
  return (chunk.first + chunk.tokens() + cuda::cache_block - 1) / cuda::cache_block;
}

void check(const DecoderChunk& chunk, const GptConfig& config, int64_t blocks_in_cache) {
  const int64_t end = chunk.first + chunk.tokens(), longest = config.longest_sequence();
  require(chunk.first >= 0 && end <= longest, "decoder: tokens at positions {} to {}, but the model has {} positions",
          chunk.first, end - 1, longest);
  require(chunk.logits >= 0 && chunk.logits <= chunk.tokens(), "decoder: logits of {} of {} tokens", chunk.logits,
          chunk.tokens());
  require(chunk.slot >= 0, "decoder: slot {}", chunk.slot);
  require(std::ssize(chunk.blocks) >= blocks_of(chunk), "decoder: {} blocks for {} positions", chunk.blocks.size(),
          end);
  for (const int32_t block : chunk.blocks) {
    require(block >= 0 && block < blocks_in_cache, "decoder: block {} of {}", block, blocks_in_cache);
  }
  for (const int32_t id : chunk.ids) {
    require(id >= 0 && id < config.vocab_size, "decoder: token id {} with a vocabulary of {}", id, config.vocab_size);
  }
}

void append(SequenceRows& rows, int64_t first, int64_t count) {
  rows.first.push_back(static_cast<int32_t>(first));
  rows.offsets.push_back(rows.offsets.back() + static_cast<int32_t>(count));
}

}  // namespace

void DecoderBatch::assign(std::span<const DecoderChunk> chunks, const GptConfig& config, int64_t blocks_in_cache,
                          bool has_slots) {
  ids.clear();
  slots.clear();
  positions.clear();
  kept.clear();
  for (auto* rows : {&all, &wanted}) {
    rows->offsets.assign(1, 0);
    rows->first.clear();
  }
  table_columns = 0;
  for (const auto& chunk : chunks) {
    require(has_slots || !chunk.ids.empty(), "decoder: a chunk has no ids, and the device has none");
    check(chunk, config, blocks_in_cache);
    table_columns = std::max(table_columns, blocks_of(chunk));
  }
  blocks.assign(chunks.size() * table_columns, 0);
  for (auto table = blocks.begin(); const auto& chunk : chunks) {
    const int64_t tokens = chunk.tokens();
    if (chunk.ids.empty()) slots.push_back({all.offsets.back(), chunk.slot});
    ids.insert(ids.end(), chunk.ids.begin(), chunk.ids.end());
    ids.resize(all.offsets.back() + tokens);
    for (int64_t i = 0; i < tokens; i++) positions.push_back(chunk.first + i);
    append(all, chunk.first, tokens);
    for (int64_t i = chunk.logits; i > 0; i--) kept.push_back(all.offsets.back() - static_cast<int32_t>(i));
    append(wanted, chunk.first + tokens - chunk.logits, chunk.logits);
    std::copy_n(chunk.blocks.begin(), blocks_of(chunk), table);
    table += table_columns;
  }
}

}  // namespace sartor::gpt
