// Inner loops of attention over a paged cache on the CPU, compiled once per instruction set.
#pragma once

#include <cstdint>

#include "decoding/decode_attention.h"

namespace sartor::cuda {

constexpr int64_t decode_part = 256;    // positions per part
constexpr int64_t decode_queries = 24;  // most queries that are processed together

// Queries of one sequence and key-value head, in ascending order of their positions: the heads of a group one after the
// other for each row.
struct DecodeQueries {
  const DecodeAttentionTask* task;
  int64_t kv_head;
  const int32_t* blocks;       // block table of the sequence
  int64_t first_row, first;    // first row of the sequence in q and out, and its position
  int64_t first_query, count;  // query i is row i / group and head i % group of the group; count <= decode_queries
};

// Softmax over some keys, before the division: a row of decode_state_floats(d) floats with
//
//   sum_j e_j v_j (d),  max_j s_j,  sum_j e_j,   where s_j = scale q k_j and e_j = exp(s_j - max s)
struct DecodeState {
  float* rows;  // (queries), aligned to 64 bytes
};

struct DecodeAttentionKernels {
  // Writes keys and values of the row to position `position` of the sequence with the block table `blocks`.
  void (*append)(const CacheTask& task, int64_t row, const int32_t* blocks, int64_t position);
  // Scaled queries in fp32: (count, decode_query_floats(d)).
  void (*load)(const DecodeQueries& of, float* q);
  // States of the keys in part `part` that each query sees; a query that sees none has no state. `scores` has
  // decode_score_floats floats.
  void (*attend)(const DecodeQueries& of, int64_t part, const float* q, float* scores, DecodeState to);
  // Adds the keys of part `part` to those of earlier parts.
  void (*merge)(const DecodeQueries& of, int64_t part, DecodeState by_part, DecodeState to);
  void (*finish)(const DecodeQueries& of, DecodeState from);  // writes out
};

constexpr int64_t decode_query_floats(int64_t d) { return (d + 15) / 16 * 16; }
constexpr int64_t decode_state_floats(int64_t d) { return decode_query_floats(d) + 16; }
constexpr int64_t decode_score_floats = 8 * decode_part;

namespace v3 {
extern const DecodeAttentionKernels decode_attention_kernels;
}
namespace v4 {
extern const DecodeAttentionKernels decode_attention_kernels;
}

}  // namespace sartor::cuda
