// Inner loops of topk on the CPU, built once an instruction set. Tables of functions, so that no inline function or
// template of one build can be taken by the linker for the other.
#pragma once

#include <cstdint>

#include "similarity/topk_key.h"

namespace sartor::cuda {

// Items as they lie in memory.
struct TopkItems {
  const float* rows;  // (count, d)
  int64_t count, d;
  const float* bias;  // (count), or null
  bool cosine;
  int32_t first;  // id of the first
};

// The candidates of some queries.
struct TopkCandidates {
  const float* thresholds;  // (queries) a candidate's score must be above
  TopkKey* keys;            // (queries, capacity), ascending by id as they are appended
  int64_t capacity;
  int32_t* counts;  // (queries) keys so far
};

struct TopkKernels {
  int panel_items;   // items side by side in a panel: two vectors
  int tile_queries;  // most queries in a tile: as many as their sums stay in registers
  int block_items;   // most items of one scan()

  // panel (d + 2, panel_items): the columns of at most panel_items items, then the scale and the bias that make a
  // score of their sum: sum * scale + bias. The scale is 1 / |item| (0 for a zero row) for cosine, else 1. The rest of
  // the panel has bias -inf. The panel is aligned to 64 bytes.
  void (*pack_items)(const TopkItems& items, float* panel);

  // tile (d, rows): the columns of `rows` <= tile_queries queries, for cosine each divided by its norm (0 for a zero
  // row).
  void (*pack_queries)(const float* queries, int64_t rows, int64_t d, bool cosine, float* tile);

  // Scores of a tile against a panel; those above the query's threshold are appended to its candidates, which have
  // room for panel_items more. True if any was. Each score is summed over d from first to last column by fused
  // multiply-adds, in every tile and in scan() alike.
  bool (*score)(const float* tile, int64_t rows, const float* panel, int64_t d, int32_t first_item,
                const TopkCandidates& found);

  // The same for one query (a tile of one) and at most block_items items as they lie: nothing is packed, which for a
  // single query would cost more than the products.
  bool (*scan)(const float* query, const TopkItems& items, const TopkCandidates& found);
};

namespace v3 {
extern const TopkKernels topk_kernels;
}
namespace v4 {
extern const TopkKernels topk_kernels;
}

}  // namespace sartor::cuda
