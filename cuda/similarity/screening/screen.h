// Search for candidates of topk on the CPU by bounds of 8-bit products (screen_kernels.h), which are several times as
// fast as fp32 products. Candidates are then scored exactly, so that results are those of a search without bounds.
#pragma once

#include "core/isa.h"
#include "similarity/screening/carver.h"
#include "similarity/screening/screen_kernels.h"

namespace sartor::cuda {

// Screens one panel of items at a time for a group of queries.
class Screen {
 public:
  // Number of items that are scored exactly before the others are screened: with lower thresholds, scoring the many
  // candidates takes longer than products.
  static int64_t exact_items(int64_t k);

  // Whether screening is faster than fp32 products, for `queries` queries that share a panel.
  static bool pays(Isa isa, int64_t queries, int64_t items, int64_t d, int64_t k);

  Screen() = default;  // screens nothing

  // Takes memory for `queries` queries. `kernels` score the candidates.
  Screen(Carver& carver, const TopkKernels& kernels, int64_t queries, int64_t d);

  // Begins with the queries of `tiles`, packed by TopkKernels::pack_queries.
  void start(const float* tiles, int64_t queries);

  // Converts a panel that is packed by TopkKernels::pack_items. Returns false if it must be scored without bounds.
  bool pack_items(const float* panel);

  // Appends the candidates among the last panel to those of queries q, ..., q + rows - 1, which are a tile. As
  // TopkKernels::score, but the keys have score 0.
  bool score(int64_t q, int64_t rows, int32_t first_item, const TopkCandidates& found) const;

  // Whether candidates have to be scored. Those that have a score already are scored again.
  bool started() const { return tiles_ != nullptr; }

  // Scores the candidates [begin, end) of query q, among `items`, which starts with item 0. Keeps those above the
  // threshold, in order, and returns their end.
  TopkKey* settle(int64_t q, const TopkItemRange& items, float threshold, TopkKey* begin, TopkKey* end);

 private:
  const TopkKernels* kernels_ = nullptr;
  int64_t d_ = 0, queries_ = 0;
  const float* tiles_ = nullptr;
  bool usable_ = false;
  float relative_ = 0;
  int64_t panels_ = 0, settled_ = 0;              // panels that were screened, candidates that were scored
  uint8_t* values_ = nullptr;                     // (tiles, steps, tile_queries, 4)
  float *norms_ = nullptr, *inverses_ = nullptr;  // (queries)
  ScreenKernels::Items items_ = {};
  float *query_ = nullptr, *rows_ = nullptr, *biases_ = nullptr;  // (d), (block_items, d), (block_items), for settle()
};

}  // namespace sartor::cuda
