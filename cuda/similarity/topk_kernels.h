// Inner loops of topk on the CPU, compiled once per instruction set. They are called through tables of functions, so
// that the linker cannot merge inline functions or templates of different builds.
#pragma once

#include <cstdint>

#include "similarity/topk_key.h"

namespace sartor::cuda {

// A range of items in their original layout.
struct TopkItemRange {
  const float* rows;  // (count, d)
  int64_t count, d;
  const float* bias;  // (count) or null
  bool cosine;
  int32_t first;                     // id of the first item, a multiple of block_items
  const uint32_t *allowed, *denied;  // bits of all items or null, as in TopkTask
};

// Candidates of several queries.
struct TopkCandidates {
  const float* thresholds;  // (queries) exclusive lower bounds of the scores
  TopkKey* keys;            // (queries, capacity); appended keys ascend by id
  int64_t capacity;
  int32_t* counts;  // (queries) number of keys
};

struct TopkKernels {
  int panel_items;   // items per panel: two vectors
  int tile_queries;  // maximum queries per tile, so that their sums fit in registers
  int block_items;   // maximum items per scan(), a divisor of panel_items and 32

  // Writes panel (d + 2, panel_items), aligned to 64 bytes: the columns of at most panel_items items, then the scale
  // and the bias of each: score = sum * scale + bias. The scale is 1 / |item| (0 for a zero row) for cosine and 1 for
  // dot. The bias is -inf for unused items and those that must not be found.
  void (*pack_items)(const TopkItemRange& items, float* panel);

  // Writes tile (d, rows): the columns of `rows` <= tile_queries queries, for cosine divided by their norms (0 for a
  // zero row).
  void (*pack_queries)(const float* queries, int64_t rows, int64_t d, bool cosine, float* tile);

  // Computes the scores of a tile and a panel and appends those above the query's threshold to its candidates, which
  // must have room for panel_items more. Returns whether any was appended. Each score is summed over d in order by
  // fused multiply-adds, with the same result in every tile and in scan().
  bool (*score)(const float* tile, int64_t rows, const float* panel, int64_t d, int32_t first_item,
                const TopkCandidates& found);

  // The same for a tile of one query and at most block_items unpacked items: for a single query, packing would cost
  // more than the products.
  bool (*scan)(const float* query, const TopkItemRange& items, const TopkCandidates& found);
};

namespace v3 {
extern const TopkKernels topk_kernels;
}
namespace v4 {
extern const TopkKernels topk_kernels;
}

}  // namespace sartor::cuda
