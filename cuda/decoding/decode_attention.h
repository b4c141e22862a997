// Attention of new rows over a paged cache of keys and values: single tokens while decoding, chunks of a prompt in
// prefill, both in one call.
//
// The result of a row depends on its query and on the keys and values 0 .. its position alone: other rows, the division
// into chunks, the blocks that the cache uses and the number of threads do not change its bits.
#pragma once

#include <cstdint>

#include "core/context.h"
#include "transformer/store.h"

namespace sartor::cuda {

constexpr int64_t cache_block = 16;  // positions per block

// Keys and values of one layer. A block holds cache_block consecutive positions of one sequence. Positions that have
// not been appended may hold anything, NaN included.
struct PagedCache {
  void* keys;    // (blocks, kv_heads, d, cache_block)
  void* values;  // (blocks, kv_heads, cache_block, d)
  Store store;
  int64_t kv_heads, d;
};

// New rows of several sequences. Sequence s has the rows offsets[s] .. offsets[s + 1] - 1, at the positions first[s],
// first[s] + 1, ... Position p of sequence s lies in block blocks[s * table_columns + p / cache_block]. The arrays are
// in the memory of the context's device.
struct CacheRows {
  int64_t sequences;
  const int32_t* offsets;  // (sequences + 1)
  const int32_t* first;    // (sequences)
  const int32_t* blocks;   // (sequences, table_columns)
  int64_t table_columns;
};

struct CacheTask {
  PagedCache cache;
  CacheRows rows;
  const void *k, *v;           // (rows, kv_heads * d)
  int64_t k_stride, v_stride;  // in elements
  Store store;                 // of k and v
};

// Writes keys and values of the new rows to the cache.
void append_to_cache(Context& context, const CacheTask& task);

struct DecodeAttentionTask {
  PagedCache cache;
  CacheRows rows;
  int64_t heads;  // a multiple of cache.kv_heads; adjacent query heads share a key-value head
  float scale;    // above 0
  const void* q;  // (rows, heads * d)
  int64_t q_stride;
  void* out;  // (rows, heads * d)
  int64_t out_stride;
  Store store;  // of q and out
};

// out_i = softmax(scale q_i k^T) v over the keys 0 .. position of i, which have been appended. Softmax and sums are in
// fp32, in parts of fixed length at absolute positions, which are combined in ascending order.
void decode_attention(Context& context, const DecodeAttentionTask& task);

}  // namespace sartor::cuda
