// Runs decoders over whole sequences in different ways.
#pragma once

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "decoding/decode_attention.h"
#include "models/gpt/decoder.h"
#include "models/gpt/folder.h"
#include "trainer/models/gpt_support.h"

namespace sartor::gpt::testing {

inline int64_t blocks_for(int64_t positions) { return (positions + cuda::cache_block - 1) / cuda::cache_block; }

// How to divide sequences into calls.
struct DecodingPlan {
  int64_t shortest = 1, longest = 1 << 20;  // tokens per chunk, drawn at random
  bool together = true;                     // otherwise one sequence after the other
  bool permuted = false;                    // blocks of the cache in random order
  uint64_t seed = 1;
};

// Logits (T, V) of all tokens.
inline at::Tensor decoded(Decoder& decoder, const Rows& rows, const DecodingPlan& plan = {}) {
  std::mt19937_64 random(plan.seed);
  std::vector<std::vector<int32_t>> tables;
  int32_t next = 0;
  for (const auto& row : rows) {
    auto& table = tables.emplace_back(blocks_for(std::ssize(row)));
    std::iota(table.begin(), table.end(), next);
    next += static_cast<int32_t>(table.size());
  }
  if (plan.permuted) {
    std::vector<int32_t> order(next);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, random);
    for (auto& table : tables) {
      for (auto& block : table) block = order[block];
    }
  }
  decoder.allocate(next);
  std::vector<int64_t> done(rows.size()), offsets(1);
  for (const auto& row : rows) offsets.push_back(offsets.back() + std::ssize(row));
  const int64_t columns = decoder.config().vocab_size;
  auto all = at::empty({offsets.back(), columns}, at::kFloat);
  for (int64_t left = offsets.back(); left > 0;) {
    std::vector<DecoderChunk> chunks;
    std::vector<size_t> owners;
    for (size_t s = 0; s < rows.size(); s++) {
      const int64_t rest = std::ssize(rows[s]) - done[s];
      if (rest == 0 || (!plan.together && !chunks.empty())) continue;
      if (plan.together && !chunks.empty() && random() % 4 == 0) continue;
      const auto drawn = static_cast<int64_t>(random() % (plan.longest - plan.shortest + 1)) + plan.shortest;
      const int64_t count = std::min(rest, drawn);
      chunks.push_back(
          {.ids = std::span(rows[s]).subspan(done[s], count), .first = done[s], .blocks = tables[s], .logits = count});
      owners.push_back(s);
    }
    const auto found = decoder.run(chunks);
    const float* from = found.data;
    for (size_t i = 0; i < chunks.size(); i++) {
      const int64_t count = chunks[i].tokens();
      std::memcpy(all.data_ptr<float>() + (offsets[owners[i]] + done[owners[i]]) * columns, from,
                  count * columns * sizeof(float));
      from += count * columns;
      done[owners[i]] += count;
      left -= count;
    }
  }
  return all;
}

}  // namespace sartor::gpt::testing
