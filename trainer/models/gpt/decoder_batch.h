// The chunks of one call of a decoder as rows: one per token, sequence by sequence.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/gpt/decoder.h"

namespace sartor::gpt {

// A token whose id the device has.
struct SlotRow {
  int32_t row, slot;
};

// Rows of several sequences: sequence s has rows offsets[s] to offsets[s + 1] - 1, at positions first[s], first[s] + 1,
// ...
struct SequenceRows {
  std::vector<int32_t> offsets, first;

  int64_t rows() const { return offsets.back(); }
};

struct DecoderBatch {
  std::vector<int32_t> ids;        // (T); 0 where the device has the id
  std::vector<SlotRow> slots;      // the rows whose id the device has
  std::vector<int64_t> positions;  // (T)
  SequenceRows all, wanted;        // rows of all tokens, and of those whose logits are wanted
  std::vector<int32_t> kept;       // row in `all` of each row of `wanted`, ascending
  // Block tables (sequences, table_columns), filled up with 0.
  std::vector<int32_t> blocks;
  int64_t table_columns = 0;

  // Replaces the contents. `blocks_in_cache` is the number of allocated blocks; `has_slots`: whether the device has ids
  // of tokens. Throws std::invalid_argument if an id,
  // a position, a block or a number of logits is out of range.
  void assign(std::span<const DecoderChunk> chunks, const GptConfig& config, int64_t blocks_in_cache, bool has_slots);

  int64_t sequences() const { return std::ssize(all.first); }
  int64_t tokens() const { return std::ssize(ids); }
};

}  // namespace sartor::gpt
